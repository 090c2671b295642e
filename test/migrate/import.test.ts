import type { JsonCache } from '@azure/msal-node'
import { Keyv } from 'keyv'
import { describe, expect, test, vi } from 'vitest'
import { generationRecord } from '../../src/accounts/generation.ts'
import {
  ConfidentialClients,
  generateEncryptionKey,
  KeyvCachePlugin,
  LogoutHandler,
} from '../../src/index.ts'
import { type ImportReport, importCache } from '../../src/migrate/index.ts'
import { KeyNames } from '../../src/records/key-names.ts'
import { encodeRecord } from '../../src/records/record.ts'
import { CLIENT_ID, EntraStandIn, TENANT_ID } from '../support/entra.ts'
import { assignToEach, edited, idsOf, importHost, partOf } from '../support/import-host.ts'
import { isStored, keysOf, storedPartition, storedText } from '../support/stored.ts'

const HOUR = 60 * 60 * 1000

const reasons = ({ skipped }: ImportReport) => skipped.map(({ reason }) => reason)

describe('a blob of several accounts', () => {
  test('each account gets a record of its own, and silently its own token', async () => {
    const { entra, plugin, blob, silent, store } = importHost()
    const users = [entra.user(), entra.user(), entra.user()]
    const serialized = await blob(...users)

    const report = await importCache(plugin, serialized)

    expect(idsOf(report.imported)).toEqual(idsOf(users))
    expect(report).toMatchObject({ skipped: [], dropped: 0 })
    for (const [index, user] of users.entries()) {
      const { accessToken, fromCache } = await silent(user)
      expect(fromCache).toBe(true)
      expect(entra.ownerOf(accessToken)?.homeAccountId).toBe(user.homeAccountId)
      expect(await storedPartition(store.keyv, user.homeAccountId)).toEqual(partOf(serialized, user))
      const session = report.imported[index] ?? user
      expect(await isStored(plugin, session)).toBe(true)
      expect((await silent(user, true, plugin.forAccount(session))).fromCache).toBe(false)
    }
  })

  test('two store calls for each account and one more for each 16', async () => {
    const { entra, plugin, blob, calls } = importHost()
    const serialized = await blob(...Array.from({ length: 20 }, () => entra.user()))
    await isStored(plugin, 'warm-up')
    calls()
    await importCache(plugin, serialized)
    const each = { reads: 20 + 2, writes: 20 }
    const made = calls()
    expect(made.filter((call) => call === 'read')).toHaveLength(each.reads)
    expect(made.filter((call) => call === 'write')).toHaveLength(each.writes)
    expect(made).toHaveLength(each.reads + each.writes)
  })

  test('repeated, it says that each is stored, under the same generation, and writes nothing', async () => {
    const { entra, plugin, blob, map, calls } = importHost()
    const serialized = await blob(entra.user(), entra.user())
    const first = await importCache(plugin, serialized)
    const before = new Map(map)
    calls()
    const second = await importCache(plugin, serialized)
    expect(second.imported).toEqual([])
    expect(second.skipped).toEqual(first.imported.map((account) => ({ ...account, reason: 'stored' })))
    expect(map).toEqual(before)
    expect(calls()).toEqual(['read', 'read'])
  })

  test('a logout callback finds an imported account, and ends it for good', async () => {
    const { entra, plugin, blob, silent } = importHost()
    const [alice, bob] = [entra.user({ sid: 'session-a' }), entra.user({ sid: 'session-b' })]
    const serialized = await blob(alice, bob)
    await importCache(plugin, serialized)
    const msal = new ConfidentialClients(entra.configuration(), { plugin })
    const issuer = entra.issuerFor(TENANT_ID)
    const logout = new LogoutHandler(msal, { issuer, jwks: { keys: [] } })
    const outcome = await logout.handle({ method: 'GET', url: '/logout?sid=session-a' })
    expect(outcome).toMatchObject({ result: 'evicted' })
    await expect(silent(alice)).rejects.toMatchObject({ errorCode: 'no_tokens_found' })
    expect((await silent(bob)).fromCache).toBe(true)
    expect(await importCache(plugin, serialized)).toMatchObject({
      imported: [],
      skipped: [
        { ...alice, reason: 'evicted' },
        { ...bob, reason: 'stored' },
      ].map(({ homeAccountId, reason }) => ({ homeAccountId, reason })),
    })
  })

  test('sealed, it is sealed like a sign-in', async () => {
    const { entra, blob } = importHost()
    const user = entra.user()
    const keyv = new Keyv()
    const encryptionKeys = [generateEncryptionKey()]
    const plugin = new KeyvCachePlugin({ store: keyv, clientId: CLIENT_ID, encryptionKeys })
    await importCache(plugin, await blob(user))
    expect(await storedText(keyv, user.homeAccountId)).toMatch(/^v1\./)
    expect(await isStored(plugin, user)).toBe(true)
  })
})

describe('a record of one account that holds tokens of others', () => {
  test('gives only that one where it is asked for; the others are counted', async () => {
    const { entra, plugin, blob } = importHost()
    const [alice, bob] = [entra.user(), entra.user()]
    const serialized = await blob(alice, bob)
    const report = await importCache(plugin, serialized, bob.homeAccountId)
    expect(idsOf(report.imported)).toEqual([bob.homeAccountId])
    expect(report).toMatchObject({ skipped: [], dropped: 4 })
    expect(await isStored(plugin, alice)).toBe(false)
    expect(idsOf((await importCache(plugin, serialized)).imported)).toEqual([alice.homeAccountId])
  })

  test('gives nobody where that one is not in it', async () => {
    const { entra, plugin, blob, calls } = importHost()
    const serialized = await blob(entra.user())
    const report = await importCache(plugin, serialized, entra.user().homeAccountId)
    expect(report).toEqual({ imported: [], skipped: [], dropped: 4 })
    expect(calls()).toEqual([])
    await expect(importCache(plugin, serialized, '')).rejects.toThrow(/^homeAccountId must/)
  })
})

describe('an account is imported only', () => {
  test('if nothing is stored for it: what is newer is not replaced', async () => {
    const { entra, plugin, blob, silent } = importHost()
    const user = entra.user()
    const serialized = await blob(user)
    const { accessToken, account } = await entra.signIn(entra.client(plugin), user)
    const session = await plugin.openSession({ account } as never)
    const report = await importCache(plugin, serialized)
    expect(report).toMatchObject({ imported: [], skipped: [{ reason: 'stored' }] })
    expect(report.skipped).toEqual([
      { homeAccountId: user.homeAccountId, reason: 'stored', generation: session.generation },
    ])
    expect((await silent(user)).accessToken).toBe(accessToken)
  })

  test.each([false, true])('if it was not evicted (signed in again since: %s)', async (again) => {
    const { entra, plugin, blob, map } = importHost()
    const user = entra.user()
    const serialized = await blob(user)
    await importCache(plugin, serialized)
    await plugin.evictAccount(user.homeAccountId)
    if (again) await entra.signIn(entra.client(plugin), user)
    const before = new Map(map)
    const report = await importCache(plugin, serialized)
    expect(report.skipped).toEqual([{ homeAccountId: user.homeAccountId, reason: 'evicted' }])
    expect(report.imported).toEqual([])
    expect(map).toEqual(before)
    expect(await isStored(plugin, user)).toBe(again)
  })

  test('if its session was not ended', async () => {
    const { entra, plugin, blob, store } = importHost()
    const user = entra.user({ sid: 'session-a' })
    const names = new KeyNames({ clientId: CLIENT_ID, namespace: undefined, keySecret: undefined })
    const key = names.epoch(user.homeAccountId, names.sidDigest('session-a'))
    await store.keyv.set(key, encodeRecord(generationRecord(key)), HOUR)
    expect(reasons(await importCache(plugin, await blob(user)))).toEqual(['evicted'])
    expect(await isStored(plugin, user)).toBe(false)
  })

  test.each(['partition', 'generation'] as const)('if its %s record can be read', async (kind) => {
    const { entra, plugin, blob, store } = importHost()
    const user = entra.user()
    const key = keysOf(user.homeAccountId)[kind]
    await store.keyv.set(key, 'v1.another-key.AAAA', HOUR)
    expect(reasons(await importCache(plugin, await blob(user)))).toEqual(['unreadable'])
    expect(await storedText(store.keyv, user.homeAccountId)).toBe(
      kind === 'partition' ? 'v1.another-key.AAAA' : '',
    )
  })

  test('if a token of it is of use', async () => {
    const { entra, plugin, blob } = importHost()
    const [user, refreshable] = [entra.user(), entra.user()]
    const serialized = edited(await blob(user, refreshable), ({ RefreshToken }) => {
      for (const [key, { home_account_id: id }] of Object.entries(RefreshToken))
        if (id === user.homeAccountId) delete RefreshToken[key]
    })
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3 * HOUR })
    try {
      const report = await importCache(plugin, serialized)
      expect(idsOf(report.imported)).toEqual([refreshable.homeAccountId])
      expect(report.skipped).toEqual([{ homeAccountId: user.homeAccountId, reason: 'expired' }])
    } finally {
      vi.useRealTimers()
    }
  })

  test('if MSAL knows whose the tokens are', async () => {
    const { entra, plugin, blob } = importHost()
    const serialized = edited(await blob(entra.user()), (cache) => Object.assign(cache, { Account: {} }))
    expect(reasons(await importCache(plugin, serialized))).toEqual(['incomplete'])
  })

  test.each([
    ['white space', ' alice'],
    ['a control character', 'al\nice'],
    ['too long', 'a'.repeat(1025)],
  ])('if evictAccount takes its id (%s)', async (_, id) => {
    const { entra, plugin, blob } = importHost()
    const serialized = edited(await blob(entra.user()), (cache) => {
      for (const name of ['Account', 'IdToken', 'AccessToken', 'RefreshToken'] as const)
        assignToEach(cache[name], { home_account_id: id })
    })
    expect(await importCache(plugin, serialized)).toEqual({
      imported: [],
      skipped: [{ homeAccountId: id, reason: 'invalid-id' }],
      dropped: 0,
    })
  })

  test('if it is one person: "alice" of two authorities is two', async () => {
    const providers = ['https://one.example', 'https://two.example'].map(
      (authority) => new EntraStandIn({ size: 'small', flavour: 'oidc', authority }),
    )
    const caches = await Promise.all(
      providers.map(async (entra) => {
        const client = entra.client()
        await entra.signIn(client, entra.user({ uid: 'alice' }))
        return JSON.parse(client.getTokenCache().serialize()) as JsonCache
      }),
    )
    const both = Object.fromEntries(
      (['Account', 'IdToken', 'AccessToken', 'RefreshToken'] as const).map((name) => [
        name,
        Object.assign({}, ...caches.map((cache) => cache[name])),
      ]),
    )
    const { plugin } = importHost()
    expect(await importCache(plugin, JSON.stringify(both))).toMatchObject({
      imported: [],
      skipped: [{ homeAccountId: 'alice', reason: 'several-authorities' }],
    })
    expect(idsOf((await importCache(plugin, JSON.stringify(caches[0]))).imported)).toEqual(['alice'])
  })

  test('whose id names its tenant is one person at any authority', async () => {
    const { entra, plugin, blob } = importHost()
    const user = entra.user()
    const serialized = edited(await blob(user), ({ AccessToken }) =>
      assignToEach(AccessToken, { environment: 'login.microsoftonline.com' }),
    )
    expect(idsOf((await importCache(plugin, serialized)).imported)).toEqual([user.homeAccountId])
  })
})

test('into what is no plugin, nothing is imported', async () => {
  const junk = {} as KeyvCachePlugin
  await expect(importCache(junk, '{}')).rejects.toMatchObject({ code: 'ERR_CONFIGURATION' })
})
