import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { JsonCache } from '@azure/msal-node'
import { describe, expect, test } from 'vitest'
import { importCache } from '../../src/migrate/index.ts'
import { CLIENT_ID, SCOPES, type User } from '../support/entra.ts'
import { assignToEach, edited, idsOf, importHost, type Library } from '../support/import-host.ts'
import { mutant } from '../support/mutant.ts'
import type { MutantName } from '../support/mutants.ts'
import { storedPartition } from '../support/stored.ts'

const OTHER_CLIENT = '0dd0c11e-0000-4000-8000-000000000001'

describe('dropped and counted are', () => {
  const SPOILED: [what: string, change: (cache: JsonCache) => void][] = [
    ['tokens of another client', ({ AccessToken }) => assignToEach(AccessToken, { client_id: OTHER_CLIENT })],
    [
      "another client's refresh token, of a family too",
      ({ RefreshToken }) => assignToEach(RefreshToken, { client_id: OTHER_CLIENT, family_id: '1' }),
    ],
    ['an ID token that is none', ({ IdToken }) => assignToEach(IdToken, { secret: 'no token' })],
    [
      'an access token without its scopes',
      ({ AccessToken }) => assignToEach(AccessToken, { target: undefined }),
    ],
    [
      'a refresh token without its client',
      ({ RefreshToken }) => assignToEach(RefreshToken, { client_id: 1 }),
    ],
    ['an entity that is null', ({ AccessToken }) => Object.assign(AccessToken, { key: null })],
    ['tokens that name nobody', ({ AccessToken }) => assignToEach(AccessToken, { home_account_id: '' })],
    ['tokens for an assertion', ({ AccessToken }) => Object.assign(AccessToken, onBehalfOf(AccessToken))],
  ]

  function onBehalfOf(tokens: JsonCache['AccessToken']): JsonCache['AccessToken'] {
    const [token] = Object.values(tokens)
    if (token === undefined) throw new Error('no token')
    return { assertion: { ...token, userAssertionHash: 'hash' } }
  }

  test.each(SPOILED)('%s; the rest is imported', async (_, spoil) => {
    const { entra, plugin, blob, store } = importHost()
    const [spoiled, whole] = [entra.user(), entra.user()]
    const [first, second] = [edited(await blob(spoiled), spoil), await blob(whole)]
    const serialized = edited(first, (cache) => {
      const others = JSON.parse(second) as JsonCache
      for (const name of ['Account', 'IdToken', 'AccessToken', 'RefreshToken'] as const)
        Object.assign(cache[name], others[name])
    })
    const events: unknown[] = []
    const listener = (event: unknown) => void events.push(event)
    subscribe('msal-keyv:dropped-entities', listener)
    const report = await importCache(plugin, serialized)
    unsubscribe('msal-keyv:dropped-entities', listener)
    expect(report.dropped).toBe(1)
    expect(events).toEqual([{ count: 1 }])
    expect(idsOf(report.imported)).toEqual(idsOf([spoiled, whole]))
    expect(await storedPartition(store.keyv, whole.homeAccountId)).toEqual(JSON.parse(second))
    const kept = await storedPartition(store.keyv, spoiled.homeAccountId)
    expect(JSON.stringify(kept)).not.toMatch(/userAssertionHash|no token|0dd0c11e/)
    const sizes = [kept.Account, kept.IdToken, kept.AccessToken, kept.RefreshToken].map(
      (section) => Object.keys(section).length,
    )
    expect(sizes.reduce((sum, size) => sum + size)).toBeGreaterThanOrEqual(3)
  })

  test("the application's own tokens", async () => {
    const { entra, plugin } = importHost()
    const client = entra.client()
    await client.acquireTokenByClientCredential({ scopes: ['https://graph.microsoft.com/.default'] })
    const report = await importCache(plugin, client.getTokenCache().serialize())
    expect(report).toEqual({ imported: [], skipped: [], dropped: 1 })
  })

  test('what a web API acquired on behalf of its callers, with the refresh token that came with it', async () => {
    const { entra, plugin, map } = importHost()
    const user = entra.user()
    const client = entra.client()
    await client.acquireTokenOnBehalfOf({ oboAssertion: entra.assertion(user), scopes: SCOPES })
    const report = await importCache(plugin, client.getTokenCache().serialize())
    expect(report).toEqual({
      imported: [],
      skipped: [{ homeAccountId: user.homeAccountId, reason: 'on-behalf-of' }],
      dropped: 1,
    })
    expect(map.size).toBe(0)
  })

  test("not the application's own refresh token of a family", async () => {
    const { entra, plugin, blob, store } = importHost()
    const user = entra.user()
    const serialized = edited(await blob(user), ({ RefreshToken }) =>
      assignToEach(RefreshToken, { family_id: '1' }),
    )
    expect((await importCache(plugin, serialized)).dropped).toBe(0)
    expect(await storedPartition(store.keyv, user.homeAccountId)).toEqual(JSON.parse(serialized))
  })

  test('app metadata of another client, which counts as nobody', async () => {
    const { entra, plugin, blob, store } = importHost()
    const user = entra.user()
    const environment = 'login.windows.net'
    const own = { client_id: CLIENT_ID, environment }
    const serialized = edited(await blob(user), ({ AppMetadata }) =>
      Object.assign(AppMetadata, { own, others: { client_id: OTHER_CLIENT, environment }, none: null }),
    )
    await importCache(plugin, serialized)
    expect((await storedPartition(store.keyv, user.homeAccountId)).AppMetadata).toEqual({ own })
  })
})

describe('what is no token cache is an error that names the parameter and quotes nothing', () => {
  const JUNK: unknown[] = [
    '',
    'secret-junk',
    'null',
    '[]',
    '"secret-junk"',
    '{"secret-junk":1}',
    '{"Account":[]}',
    '{"Account":{},"RefreshToken":"secret-junk"}',
    '{"AppMetadata":1}',
    undefined,
    null,
    { Account: {} },
    Buffer.from('{}'),
  ]

  test.each(JUNK)('%j', async (junk) => {
    const { plugin, calls } = importHost()
    const error = await importCache(plugin, junk as string).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TypeError)
    expect(String(error)).toMatch(/^TypeError: serialized must be /)
    expect(String(error)).not.toMatch('secret-junk')
    expect(calls()).toEqual([])
  })

  test.each(['{}', '{"Account":{}}'])('%s is one in which nobody is', async (empty) => {
    const { plugin, calls } = importHost()
    expect(await importCache(plugin, empty)).toEqual({ imported: [], skipped: [], dropped: 0 })
    expect(calls()).toEqual([])
  })
})

describe('hostile caches (E13)', () => {
  const HOSTILE: [
    what: string,
    mutation: MutantName,
    spoil: (entity: string) => [key: string, entity: string],
  ][] = [
    [
      'a member nested deeper than any writer goes',
      'import: nested as deep as it likes',
      (entity) => ['deep', entity.replace('{', `{"deep":${'['.repeat(50_000)}${']'.repeat(50_000)},`)],
    ],
    ['a key that is the prototype', 'import: names of the prototype', (entity) => ['__proto__', entity]],
  ]

  test.each(HOSTILE)('%s is dropped and counted, and the others are imported', async (_, mutation, spoil) => {
    const spoiled = async (blob: (...users: User[]) => Promise<string>, user: User) => {
      const serialized = await blob(user)
      const [token] = Object.values((JSON.parse(serialized) as JsonCache).RefreshToken)
      const [key, entity] = spoil(JSON.stringify({ ...token, family_id: '1' }))
      return serialized.replace('"RefreshToken":{', `"RefreshToken":{${JSON.stringify(key)}:${entity},`)
    }
    const { entra, plugin, blob } = importHost()
    const report = await importCache(plugin, await spoiled(blob, entra.user()))
    expect(report).toMatchObject({ imported: [{}], skipped: [], dropped: 1 })
    const broken = await mutant<Library>(mutation)
    const there = importHost(undefined, broken.KeyvCachePlugin)
    const careless = await broken
      .importCache(there.plugin, await spoiled(there.blob, there.entra.user()))
      .catch(() => undefined)
    expect(careless?.dropped).not.toBe(1)
  })

  test('8,000 refresh tokens of one account are imported in less than two seconds', async () => {
    const { entra, plugin, blob } = importHost()
    const serialized = edited(await blob(entra.user()), ({ RefreshToken }) => {
      const [token] = Object.values(RefreshToken)
      for (let i = 0; i < 8000; i++) RefreshToken[`${i}`] = { ...token, family_id: `${i}` } as never
    })
    const before = performance.now()
    expect((await importCache(plugin, serialized)).imported).toHaveLength(1)
    expect(performance.now() - before).toBeLessThan(2000)
  })
})
