import { inspect } from 'node:util'
import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import { EvictionError, KeyvCachePlugin, StoreUnavailableError } from '../src/index.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn } from './support/entra.ts'
import { mutant } from './support/mutant.ts'
import { type ObservedStore, observe, type StoreCall } from './support/observed-store.ts'
import { isStored, keysOf, storedPartition, storedText } from './support/stored.ts'

function host(Plugin: typeof KeyvCachePlugin = KeyvCachePlugin) {
  const entra = new EntraStandIn({ size: 'small' })
  const map = new Map<string, string>()
  const store = observe(new Keyv({ store: map }))
  const plugin = new Plugin({ store: store.keyv, clientId: CLIENT_ID })
  const user = entra.user()
  const signIn = async () => plugin.openSession(await entra.signIn(entra.client(plugin), user))
  const bound = () => entra.client(plugin.forAccount(user))
  return { entra, map, store, plugin, user, signIn, bound }
}

function fail(store: ObservedStore, call: StoreCall): void {
  store.before(call, () => {
    throw new Error('the store is down')
  })
}

describe('an eviction is honest (P4)', () => {
  test('a fence that was not confirmed rejects, and repeating it is safe', async () => {
    const { store, plugin, user, signIn } = host()
    await signIn()
    fail(store, 'write')
    const error: unknown = await plugin.evictAccount(user.homeAccountId).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(EvictionError)
    expect(error).toMatchObject({
      code: 'ERR_EVICTION',
      fenced: false,
      cause: expect.any(StoreUnavailableError),
    })
    expect(await isStored(plugin, user)).toBe(true)
    expect(await plugin.evictAccount(user.homeAccountId)).toMatchObject({ existed: true })
    expect(await isStored(plugin, user)).toBe(false)
  })

  test('a deletion that was not confirmed rejects too, but the eviction holds', async () => {
    const { store, plugin, user, signIn } = host()
    await signIn()
    fail(store, 'delete')
    await expect(plugin.evictAccount(user.homeAccountId)).rejects.toMatchObject({ fenced: true })
    expect(await isStored(plugin, user)).toBe(false)
    expect(await plugin.evictAccount(user.homeAccountId)).toMatchObject({ existed: true })
  })
})

describe('a session ends its own sign-in, and no later one', () => {
  test('the current one is evicted', async () => {
    const { plugin, user, signIn } = host()
    const session = await signIn()
    expect(await plugin.evictAccount(session)).toMatchObject({
      homeAccountId: user.homeAccountId,
      existed: true,
    })
    expect(await plugin.isSignedIn(session)).toBe(false)
  })

  test('one from before an eviction evicts nothing', async () => {
    const { plugin, signIn } = host()
    const old = await signIn()
    await plugin.evictAccount(old.homeAccountId)
    const session = await signIn()
    expect(await plugin.evictAccount(old)).toBeUndefined()
    expect(await plugin.isSignedIn(session)).toBe(true)
  })

  test('an id alone is no session', async () => {
    const { plugin, user, signIn } = host()
    await signIn()
    for (const call of [plugin.isSignedIn(user as never), plugin.evictAccount(user as never)]) {
      await expect(call).rejects.toThrow(/^generation is missing/)
    }
    await expect(plugin.isSignedIn(user.homeAccountId as never)).rejects.toThrow(
      /^account must be the session/,
    )
  })
})

describe('an outage is not a sign-out (P7)', () => {
  test('a failed load is an error, not an empty cache', async () => {
    const { store, user, plugin, signIn, bound } = host()
    await signIn()
    for (const call of [
      () => acquireSilently(bound(), user.homeAccountId),
      () => bound().getTokenCache().getAllAccounts(),
      () => isStored(plugin, user),
    ]) {
      fail(store, 'read')
      await expect(call()).rejects.toBeInstanceOf(StoreUnavailableError)
    }
    expect((await acquireSilently(bound(), user.homeAccountId)).fromCache).toBe(true)
  })

  test('a context whose load failed never writes', async () => {
    const { entra, store, user, signIn, bound } = host()
    await signIn()
    const before = await storedText(store.keyv, user.homeAccountId)
    const held = entra.hold(({ grant }) => grant === 'refresh_token')
    const refresh = acquireSilently(bound(), user.homeAccountId, { forceRefresh: true })
    await held.arrived
    store.calls()
    fail(store, 'read')
    held.release()
    await expect(refresh).rejects.toBeInstanceOf(StoreUnavailableError)
    expect(store.calls()).toEqual(['read'])
    expect(await storedText(store.keyv, user.homeAccountId)).toBe(before)
  })

  test('a sign-in that cannot be stored rejects, and leaves nothing in memory', async () => {
    for (const call of ['read', 'write'] as const) {
      const { entra, store, plugin, user } = host()
      const client = entra.client(plugin)
      fail(store, call)
      await expect(entra.signIn(client, user)).rejects.toBeInstanceOf(StoreUnavailableError)
      expect(entra.tokensIn(JSON.stringify(client.getTokenCache().getKVStore()))).toEqual([])
      await entra.signIn(client, user)
      expect(await isStored(plugin, user)).toBe(true)
    }
  })

  test('with a failed read taken for a miss, the user looks signed out', async () => {
    const broken = await mutant('failed read taken for a miss')
    const entra = new EntraStandIn({ size: 'small' })
    const keyv = new Keyv()
    keyv.getMany = async (keys: string[]) => {
      keyv.emit('error', new Error('down'))
      return keys.map(() => undefined) as never
    }
    const ask = (Plugin: typeof KeyvCachePlugin) => {
      const plugin = new Plugin({ store: keyv, clientId: CLIENT_ID })
      return acquireSilently(entra.client(plugin.forAccount({ homeAccountId: 'alice' })), 'alice')
    }
    await expect(ask(KeyvCachePlugin)).rejects.toBeInstanceOf(StoreUnavailableError)
    await expect(ask(broken.KeyvCachePlugin)).rejects.toMatchObject({ errorCode: 'no_tokens_found' })
  })
})

describe('nothing is left behind (P6)', () => {
  test('an account left without tokens loses its record', async () => {
    const { entra, map, user, bound } = host()
    const key = `keyv:${keysOf(user.homeAccountId).partition}`
    entra.answers.authorization_code = { omit: ['refresh_token', 'id_token'] }
    await entra.signIn(bound(), user)
    expect(map.has(key)).toBe(true)
    entra.answers.authorization_code = { omit: ['refresh_token', 'id_token'], lifetime: -10 }
    await entra.signIn(bound(), user)
    expect(map.has(key)).toBe(false)
  })

  test('a sign-in without tokens leaves no husk', async () => {
    const { entra, map, user, plugin } = host()
    entra.answers.authorization_code = { omit: ['refresh_token', 'id_token'], lifetime: -10 }
    await entra.signIn(entra.client(plugin), user)
    expect([...map.keys()]).toEqual([])
  })

  test('every record has an expiry, in the store and in itself', async () => {
    const { map, user, plugin, signIn } = host()
    await signIn()
    const fortnight = Date.now() + 14 * 24 * 60 * 60 * 1000
    await plugin.evictAccount('somebody else')
    expect(map.size).toBeGreaterThan(3)
    for (const [key, value] of map) {
      const { value: record, expires } = JSON.parse(value) as { value: string; expires: number }
      const { x: expiresAt } = JSON.parse(record.slice(0, record.indexOf('\n'))) as { x: number }
      const quarter = Date.now() + (90 * 24 + 1) * 60 * 60 * 1000
      expect(Math.abs(expiresAt - (key.endsWith('_g') ? quarter : fortnight))).toBeLessThan(60_000)
      expect(Math.abs(expires - expiresAt)).toBeLessThan(2 * 60 * 60 * 1000)
    }
    expect(await isStored(plugin, user)).toBe(true)
  })

  test('expired access tokens go with the next write, and MSAL’s unknown sections stay', async () => {
    const { entra, map, store, user, plugin, signIn, bound } = host()
    entra.answers.authorization_code = { lifetime: -10 }
    await signIn()
    entra.answers.authorization_code = {}
    const [[key, value]] = [...map.entries()] as [[string, string]]
    const record = JSON.parse(value) as { value: string; expires: number }
    const withMore = record.value.replace('\n{', '\n{"Future":{"a":1},')
    map.set(key, JSON.stringify({ ...record, value: withMore }))

    await acquireSilently(bound(), user.homeAccountId, { scopes: ['b'] })
    const stored = (await storedPartition(store.keyv, user.homeAccountId)) as unknown as Record<
      string,
      object
    >
    expect(Object.keys(stored.AccessToken ?? {})).toHaveLength(1)
    expect(stored.Future).toEqual({ a: 1 })
    await plugin.openSession(await entra.signIn(entra.client(plugin), user))
    expect((await storedPartition(store.keyv, user.homeAccountId)) as unknown).toMatchObject({
      Future: { a: 1 },
    })
  })
})

describe('records that are not what they should be', () => {
  test.each([
    ['no record', () => 'nonsense'],
    ['no header', () => '\n{}'],
    ['a header that is no JSON', () => 'nonsense\n{}'],
    ['a newer version', (text: string) => text.replace('"v":1', '"v":2')],
    ["another account's", (text: string) => text.replace(/mk1_\{.{43}\}/, `mk1_{${'a'.repeat(43)}}`)],
    ['expired by its own account', (text: string) => text.replace(/"x":\d+/, '"x":1')],
    ['a body that is no JSON', (text: string) => `${text}}`],
    [
      'an access token that says nothing of its scopes',
      (text: string) => text.replace(/"target":"[^"]*",/, ''),
    ],
    [
      'an ID token without a realm',
      (text: string) => text.replace(/("IdToken":\{.*?)"realm":"[^"]*"/, '$1"x":"y"'),
    ],
    ['a body that is no cache', (text: string) => text.replace(/\n.*/s, '\n{"Account":{"a":null}}')],
    ['not a string', () => ({ v: 1 })],
  ] as [string, (text: string) => unknown][])(
    '%s counts as absent, is not deleted, and the next sign-in replaces it',
    async (_, damage) => {
      const { store, user, plugin, signIn, bound } = host()
      await signIn()
      const { partition } = keysOf(user.homeAccountId)
      const damaged = damage(await storedText(store.keyv, user.homeAccountId))
      await store.keyv.set(partition, damaged as string, 60_000)
      await expect(acquireSilently(bound(), user.homeAccountId)).rejects.toMatchObject({
        errorCode: 'no_tokens_found',
      })
      expect(await store.keyv.getRaw(partition)).toMatchObject({ value: damaged })
      await signIn()
      expect((await acquireSilently(bound(), user.homeAccountId)).fromCache).toBe(true)
      expect(await isStored(plugin, user)).toBe(true)
    },
  )

  test('whatever member of a plaintext record is gone or of another type, only MSAL’s own errors come out (P8)', async () => {
    const { store, user, signIn, bound } = host()
    await signIn()
    const { partition } = keysOf(user.homeAccountId)
    const text = await storedText(store.keyv, user.homeAccountId)
    const [header = '', body = ''] = text.split('\n')
    const sections = JSON.parse(body) as Record<string, Record<string, Record<string, unknown>>>
    const outcomes = new Set<string>()
    for (const [section, entities] of Object.entries(sections)) {
      for (const [key, entity] of Object.entries(entities)) {
        for (const member of Object.keys(entity)) {
          for (const value of [undefined, null, 7, '', [], {}, [7]]) {
            const damaged = { ...sections, [section]: { ...entities, [key]: { ...entity, [member]: value } } }
            await store.keyv.set(partition, `${header}\n${JSON.stringify(damaged)}`, 60_000)
            for (const forceRefresh of [false, true]) {
              const outcome = await acquireSilently(bound(), user.homeAccountId, { forceRefresh }).then(
                () => 'a token',
                (error: { errorCode?: string }) => error.errorCode ?? `${section}.${member}: ${error}`,
              )
              outcomes.add(outcome)
            }
            await store.keyv.set(partition, `${header}\n${JSON.stringify(damaged)}`, 60_000)
            await signIn()
          }
        }
      }
    }
    // What MSAL calls by a code of its own is its own: an empty text is a text.
    expect([...outcomes].filter((outcome) => outcome.includes(':'))).toEqual([])
    expect(outcomes).toContain('no_tokens_found')
  })

  test('an unreadable generation record invalidates everything, and the next sign-in replaces it', async () => {
    const { store, user, plugin, signIn, bound } = host()
    const session = await signIn()
    await store.keyv.set(keysOf(user.homeAccountId).generation, 'nonsense', 60_000)
    expect(await plugin.isSignedIn(session)).toBe(false)
    await expect(acquireSilently(bound(), user.homeAccountId)).rejects.toThrow('no_tokens_found')
    expect(await plugin.isSignedIn(await signIn())).toBe(true)
    expect(await plugin.isSignedIn(session)).toBe(false)
  })
})

test('what util.inspect shows of the plugin holds no secret (P9)', async () => {
  const { entra, plugin, user, signIn, bound } = host()
  await signIn()
  const client = bound()
  const keySecret = 'not to be seen anywhere'
  const secretive = new KeyvCachePlugin({ store: new Keyv(), clientId: CLIENT_ID, keySecret })
  const shown = [plugin, secretive, plugin.forAccount(user)].map((it) =>
    inspect(it, { depth: 20, showHidden: true }),
  )
  await acquireSilently(client, user.homeAccountId)
  expect(shown.join()).not.toContain(user.homeAccountId)
  expect(shown.join()).not.toContain(keySecret)
  expect(entra.tokensIn(shown.join())).toEqual([])
})

describe('openSession', () => {
  test('takes the session id from the ID token, and from the authorization response where it has none', async () => {
    const { entra, plugin } = host()
    const withSid = entra.user({ sid: 'from-the-token' })
    const without = entra.user({ sid: null })
    const open = async (user: typeof withSid, sessionState?: string) =>
      plugin.openSession(await entra.signIn(entra.client(plugin), user), { sessionState })
    expect(await open(withSid, 'from-the-response')).toMatchObject({ sid: 'from-the-token' })
    expect(await open(without, 'from-the-response')).toMatchObject({ sid: 'from-the-response' })
    expect(await open(without)).not.toHaveProperty('sid')
  })
})
