import { describe, expect, test } from 'vitest'
import { exportAccount, importCache } from '../../src/migrate/index.ts'
import { KeyNames } from '../../src/records/key-names.ts'
import { acquireSilently, CLIENT_ID } from '../support/entra.ts'
import { importHost, partOf } from '../support/import-host.ts'
import { keysOf, storedText } from '../support/stored.ts'

const HOUR = 60 * 60 * 1000

describe('exportAccount', () => {
  test('gives what MSAL can read, of this account only', async () => {
    const { entra, plugin, blob } = importHost()
    const [user, other] = [entra.user(), entra.user()]
    const serialized = await blob(user, other)
    await importCache(plugin, serialized)
    const exported = (await exportAccount(plugin, user)) ?? ''
    expect(JSON.parse(exported)).toEqual(partOf(serialized, user))
    const client = entra.client()
    client.getTokenCache().deserialize(exported)
    expect((await acquireSilently(client, user.homeAccountId)).fromCache).toBe(true)
  })

  test('gives to a session only its own sign-in', async () => {
    const { entra, plugin, store } = importHost()
    const user = entra.user({ sid: 'session-a' })
    const session = await plugin.openSession(await entra.signIn(entra.client(plugin), user))
    expect(await exportAccount(plugin, session)).toBeTypeOf('string')
    expect(await exportAccount(plugin, { ...session, generation: 'another' })).toBeUndefined()
    const names = new KeyNames({ clientId: CLIENT_ID, namespace: undefined, keySecret: undefined })
    await store.keyv.set(names.epoch(user.homeAccountId, names.sidDigest('session-a')), 'ended', HOUR)
    expect(await exportAccount(plugin, session)).toBeUndefined()
    expect(await exportAccount(plugin, user)).toBeTypeOf('string')
  })

  test('gives nothing of an account that was evicted, is unknown or cannot be read', async () => {
    const { entra, plugin, store } = importHost()
    const [evicted, unknown, spoiled] = [entra.user(), entra.user(), entra.user()]
    await entra.signIn(entra.client(plugin), evicted)
    await plugin.evictAccount(evicted.homeAccountId)
    await entra.signIn(entra.client(plugin), spoiled)
    const { partition } = keysOf(spoiled.homeAccountId)
    const text = await storedText(store.keyv, spoiled.homeAccountId)
    await store.keyv.set(partition, `${text.slice(0, text.indexOf('\n'))}\nnonsense`, HOUR)
    for (const user of [evicted, unknown, spoiled]) {
      expect(await exportAccount(plugin, user)).toBeUndefined()
    }
  })

  test('costs one store call, and takes no id that cannot be one', async () => {
    const { entra, plugin, calls } = importHost()
    const user = entra.user()
    await entra.signIn(entra.client(plugin), user)
    calls()
    await exportAccount(plugin, user)
    expect(calls()).toEqual(['read'])
    await expect(exportAccount(plugin, { homeAccountId: '' })).rejects.toBeInstanceOf(TypeError)
  })

  test('is what an import takes, in another store', async () => {
    const { entra, plugin } = importHost()
    const user = entra.user()
    const { accessToken } = await entra.signIn(entra.client(plugin), user)
    const there = importHost(entra)
    await importCache(there.plugin, (await exportAccount(plugin, user)) ?? '')
    expect((await there.silent(user)).accessToken).toBe(accessToken)
  })
})
