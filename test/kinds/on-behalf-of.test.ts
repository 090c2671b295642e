import { inspect } from 'node:util'
import Keyv from 'keyv'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { KeyvCachePlugin } from '../../src/index.ts'
import { CLIENT_ID, EntraStandIn, SCOPES, TENANT_ID } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'
import { observe } from '../support/observed-store.ts'
import { isStored, keysOf } from '../support/stored.ts'

const SECOND = 1000
const HOUR = 60 * 60 * SECOND
const DAY = 24 * HOUR

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }).setSystemTime(1_800_000_000_000))
afterEach(() => void vi.useRealTimers())

function pass(milliseconds: number): void {
  vi.setSystemTime(Date.now() + milliseconds)
}

function host(entra = new EntraStandIn({ size: 'small' }), Plugin = KeyvCachePlugin, ttl?: number) {
  const map = new Map<string, string>()
  const store = observe(new Keyv({ store: map }))
  const plugin = new Plugin({ store: store.keyv, clientId: CLIENT_ID, ttl })
  const client = (assertion: string, by = plugin) => entra.client(by.forAssertion(assertion))
  const ask = async (assertion: string, scopes = SCOPES, by = client(assertion)) => {
    await by.getTokenCache().getAllAccounts()
    return by.acquireTokenOnBehalfOf({ oboAssertion: assertion, scopes })
  }
  const signIn = async (user = entra.user()) =>
    plugin.openSession(await entra.signIn(entra.client(plugin), user))
  return { entra, map, store, plugin, client, ask, signIn, text: () => [...map.values()].join() }
}

function records(map: Map<string, string>) {
  return [...map]
    .filter(([key]) => key.endsWith('_o'))
    .map(([key, text]) => {
      const { value } = JSON.parse(text) as { value: string }
      const end = value.indexOf('\n')
      return {
        key,
        header: JSON.parse(value.slice(0, end)) as { x: number; g?: string; o?: string },
        headerText: value.slice(0, end),
        cache: JSON.parse(value.slice(end + 1)) as Record<string, Record<string, { target: string }>>,
      }
    })
}

const evicted = { code: 'ERR_ACCOUNT_EVICTED', name: 'AccountEvictedError' }

test('first 5 store calls, repeated 2 and no token request, in this process and in another (P10)', async () => {
  const { entra, store, plugin, client, ask } = host()
  await isStored(plugin, 'warm-up')
  store.calls()
  const assertion = entra.assertion(entra.user())
  const first = await ask(assertion)
  expect(store.calls()).toEqual(['read', 'read', 'read', 'read', 'write'])
  const other = new KeyvCachePlugin({ store: store.keyv, clientId: CLIENT_ID })
  for (const by of [client(assertion), client(assertion, other)]) {
    expect(await ask(assertion, SCOPES, by)).toMatchObject({
      fromCache: true,
      accessToken: first?.accessToken,
    })
    expect(store.calls()).toEqual(['read', 'read'])
  }
  expect(entra.tokenRequests.on_behalf_of).toBe(1)
})

describe('isolation (P1)', () => {
  test('each incoming token has its own record, of one user', async () => {
    const { entra, map, ask } = host()
    const [alice, bob] = [entra.user(), entra.user()]
    const assertions = [alice, alice, bob].map((user) => ({ user, assertion: entra.assertion(user) }))
    const tokens = await Promise.all(assertions.map(({ assertion }) => ask(assertion)))
    expect(new Set(tokens.map((token) => token?.accessToken)).size).toBe(3)
    expect(records(map)).toHaveLength(3)
    for (const { cache } of records(map)) {
      expect(new Set(entra.tokensIn(JSON.stringify(cache)).map((token) => token.chain)).size).toBe(1)
    }
    for (const [index, { user, assertion }] of assertions.entries()) {
      const hit = await ask(assertion)
      expect(hit).toMatchObject({ fromCache: true, accessToken: tokens[index]?.accessToken })
      expect(entra.ownerOf(hit?.accessToken ?? '')?.homeAccountId).toBe(user.homeAccountId)
    }
  })

  test('neither the incoming token nor a refresh token is in the store, no account id in a header (P9)', async () => {
    const { entra, map, plugin, ask, text } = host()
    const user = entra.user()
    const assertion = entra.assertion(user)
    await ask(assertion)
    expect(
      entra
        .tokensIn(text())
        .map(({ kind }) => kind)
        .sort(),
    ).toEqual(['access_token', 'id_token'])
    expect(text()).not.toContain(assertion)
    expect(
      records(map)
        .map(({ key, headerText }) => key + headerText)
        .join(),
    ).not.toContain(user.uid)
    const shown = inspect([plugin, plugin.forAssertion(assertion)], { depth: 20, showHidden: true })
    expect(shown).not.toContain(assertion)
  })

  test('the answer to another assertion is refused, and stored nowhere', async () => {
    const { entra, map, client, ask } = host()
    const [mine, others] = [entra.assertion(entra.user()), entra.assertion(entra.user())]
    await expect(ask(others, SCOPES, client(mine))).rejects.toMatchObject({ code: 'ERR_CONFIGURATION' })
    expect(map.size).toBe(0)
  })

  test('a sign-in through such a client is stored as that', async () => {
    const { entra, map, plugin, client } = host()
    const user = entra.user()
    await entra.signIn(client(entra.assertion(user)), user)
    expect(await isStored(plugin, user)).toBe(true)
    expect(records(map)).toEqual([])
  })

  test('another scope joins the record, and both are hits', async () => {
    const { entra, map, ask } = host()
    const assertion = entra.assertion(entra.user())
    await ask(assertion)
    await ask(assertion, ['Mail.Read'])
    for (const scopes of [SCOPES, ['Mail.Read']]) {
      expect((await ask(assertion, scopes))?.fromCache).toBe(true)
    }
    expect(records(map)).toHaveLength(1)
  })

  test('concurrent answers for one assertion lose no token', async () => {
    const { entra, ask } = host()
    const assertion = entra.assertion(entra.user())
    const resources = Array.from({ length: 10 }, (_, n) => [`api://${n}/read`])
    await Promise.all(resources.map((scopes) => ask(assertion, scopes)))
    for (const scopes of resources) expect((await ask(assertion, scopes))?.fromCache).toBe(true)
  })
})

describe('eviction (P3)', () => {
  test("ends the owner's records, also without a sign-in, and nobody else's", async () => {
    const { entra, plugin, ask } = host()
    const [alice, bob] = [entra.user(), entra.user()]
    const [first, second, bobs] = [alice, alice, bob].map((user) => entra.assertion(user)) as [
      string,
      string,
      string,
    ]
    for (const assertion of [first, second, bobs]) await ask(assertion)
    await plugin.evictAccount(alice.homeAccountId)
    for (const assertion of [first, second]) await expect(ask(assertion)).rejects.toMatchObject(evicted)
    expect((await ask(bobs))?.fromCache).toBe(true)
    expect(entra.tokenRequests.on_behalf_of).toBe(3)
  })

  test('ends it on a client that had loaded it, out of memory too', async () => {
    const { entra, plugin, client, ask } = host()
    const user = entra.user()
    const assertion = entra.assertion(user)
    await ask(assertion)
    const by = client(assertion)
    await ask(assertion, SCOPES, by)
    await plugin.evictAccount(user.homeAccountId)
    await expect(by.getTokenCache().getAllAccounts()).rejects.toMatchObject(evicted)
    expect(entra.tokensIn(JSON.stringify(by.getTokenCache().getKVStore()))).toEqual([])
  })

  test('an answer in flight over it is refused and not stored, also after a new sign-in', async () => {
    const { entra, map, plugin, ask, signIn, text } = host()
    const user = entra.user()
    await signIn(user)
    const held = entra.hold(({ grant }) => grant === 'on_behalf_of')
    const asked = ask(entra.assertion(user))
    const { chain } = await held.arrived
    pass(SECOND)
    await plugin.evictAccount(user.homeAccountId)
    await signIn(user)
    held.release()
    await expect(asked).rejects.toMatchObject(evicted)
    expect(records(map)).toEqual([])
    expect(entra.tokensIn(text()).filter((token) => token.chain === chain)).toEqual([])
  })

  test('an assertion from before it gets nothing, one from after it works at once (P5)', async () => {
    const { entra, plugin, ask, signIn } = host()
    const user = entra.user()
    await signIn(user)
    const old = entra.assertion(user)
    await plugin.evictAccount(user.homeAccountId)
    const sameSecond = entra.assertion(user)
    pass(SECOND)
    const fresh = entra.assertion(user)
    for (const assertion of [old, sameSecond]) await expect(ask(assertion)).rejects.toMatchObject(evicted)
    await ask(fresh)
    expect((await ask(fresh))?.fromCache).toBe(true)
    await signIn(user)
    expect((await ask(fresh))?.fromCache).toBe(true)
    pass(SECOND)
    await plugin.evictAccount(user.homeAccountId)
    await expect(ask(fresh)).rejects.toMatchObject(evicted)
  })

  test.each([
    ['without iat', (entra: EntraStandIn) => entra.assertion(entra.user({ uid: 'u' }), { iat: undefined })],
    [
      'with an iat that is no number',
      (entra: EntraStandIn) => entra.assertion(entra.user({ uid: 'u' }), { iat: '1' }),
    ],
  ])('an assertion %s counts as issued 24 hours ago', async (_, make) => {
    const { entra, plugin, ask } = host()
    await plugin.evictAccount(`u.${TENANT_ID}`)
    pass(DAY)
    const assertion = make(entra)
    await expect(ask(assertion)).rejects.toMatchObject(evicted)
    pass(SECOND)
    await ask(assertion)
    expect((await ask(assertion))?.fromCache).toBe(true)
  })

  test('an eviction between the read of the generation and the write leaves a record that is born invalid', async () => {
    const { entra, map, store, plugin, ask } = host()
    const user = entra.user()
    const assertion = entra.assertion(user)
    store.before('write', () => plugin.evictAccount(user.homeAccountId))
    await ask(assertion)
    expect(records(map)).toHaveLength(1)
    await expect(ask(assertion)).rejects.toMatchObject(evicted)
  })

  test('an unreadable generation record counts as an eviction of now, and is replaced', async () => {
    const { entra, store, ask } = host()
    const user = entra.user()
    const assertion = entra.assertion(user)
    await ask(assertion)
    await store.keyv.set(keysOf(user.homeAccountId).generation, 'nonsense', HOUR)
    await expect(ask(assertion)).rejects.toMatchObject(evicted)
    pass(SECOND)
    const fresh = entra.assertion(user)
    await ask(fresh)
    expect((await ask(fresh))?.fromCache).toBe(true)
  })

  describe('broken on purpose', () => {
    async function afterEviction(Plugin: typeof KeyvCachePlugin, stored: boolean) {
      const { entra, plugin, ask } = host(undefined, Plugin)
      const user = entra.user()
      const assertion = entra.assertion(user)
      if (stored) await ask(assertion)
      await plugin.evictAccount(user.homeAccountId)
      return ask(assertion)
    }

    test('with the generation unchecked, an evicted record is shown', async () => {
      const broken = await mutant('token record of any generation')
      expect((await afterEviction(broken.KeyvCachePlugin, true))?.fromCache).toBe(true)
    })

    test('with iat unchecked at the commit, an old assertion is granted again', async () => {
      const broken = await mutant('assertion of any age stored')
      expect((await afterEviction(broken.KeyvCachePlugin, false))?.accessToken).toBeTruthy()
    })

    test('with iat unchecked at the load, the provider is asked in vain', async () => {
      const broken = await mutant('assertion of any age loads')
      await expect(afterEviction(broken.KeyvCachePlugin, true)).rejects.toMatchObject(evicted)
    })

    test('with the record of an older generation taken as a base, its tokens come back', async () => {
      const play = async (Plugin: typeof KeyvCachePlugin) => {
        const { entra, store, plugin, ask, map } = host(undefined, Plugin)
        const user = entra.user()
        const assertion = entra.assertion(user, { iat: Date.now() / SECOND + 60 })
        await ask(assertion)
        const by = entra.client(plugin.forAssertion(assertion))
        await by.getTokenCache().getAllAccounts()
        // Between the load for the write and the read of the generation.
        store.before('read', () => undefined)
        store.before('read', () => undefined)
        store.before('read', () => plugin.evictAccount(user.homeAccountId))
        await by.acquireTokenOnBehalfOf({ oboAssertion: assertion, scopes: ['Mail.Read'] })
        return records(map).flatMap(({ cache }) => Object.values(cache.AccessToken ?? {}))
      }
      expect(await play(KeyvCachePlugin)).toHaveLength(1)
      const broken = await mutant('dead record taken for a base')
      expect(await play(broken.KeyvCachePlugin)).toHaveLength(2)
    })
  })
})

describe('callers of every kind', () => {
  test.each(['ciam', 'oidc', 'b2c'] as const)('%s', async (flavour) => {
    const { entra, plugin, ask } = host(new EntraStandIn({ flavour, size: 'small' }))
    const user = entra.user()
    const assertion = entra.assertion(user)
    await ask(assertion)
    expect((await ask(assertion))?.fromCache).toBe(true)
    await plugin.evictAccount(user.homeAccountId)
    await expect(ask(assertion)).rejects.toMatchObject(evicted)
  })

  test('a guest, whose account is of another tenant than the token', async () => {
    const { entra, plugin, ask } = host()
    const guest = entra.user({ utid: 'b0e00000-0000-4000-8000-000000000b0e', tid: TENANT_ID })
    const assertion = entra.assertion(guest)
    await ask(assertion)
    expect((await ask(assertion))?.fromCache).toBe(true)
    await plugin.evictAccount(guest.homeAccountId)
    await expect(ask(assertion)).rejects.toMatchObject(evicted)
  })

  test.each([['by idtyp', { idtyp: 'app' }]])(
    'an application, known %s, has no account and no generation',
    async (_, claims) => {
      const { entra, map, ask } = host()
      entra.answers.on_behalf_of = { omit: ['id_token', 'client_info', 'refresh_token'] }
      const assertion = entra.assertion(entra.user(), claims)
      await ask(assertion)
      expect((await ask(assertion))?.fromCache).toBe(true)
      const [{ header } = expect.fail('no record')] = records(map)
      expect(header).not.toHaveProperty('g')
      expect(header).not.toHaveProperty('o')
    },
  )

  test("a user's answer that names nobody is not stored: nothing could evict it", async () => {
    const { entra, map, ask } = host()
    entra.answers.on_behalf_of = { omit: ['id_token', 'client_info', 'refresh_token'] }
    expect((await ask(entra.assertion(entra.user())))?.accessToken).toBeTruthy()
    expect(map.size).toBe(0)
  })
})

describe('nothing is left behind (P6)', () => {
  test.each([
    ['with its last access token', undefined, 2 * HOUR],
    ['no later than ttl', HOUR, HOUR],
  ])('the record expires %s', async (_, ttl, lifetime) => {
    const { entra, map, ask } = host(undefined, KeyvCachePlugin, ttl)
    const assertion = entra.assertion(entra.user())
    await ask(assertion)
    expect(records(map)[0]?.header.x).toBe(Date.now() + lifetime)
    pass(lifetime)
    expect((await ask(assertion))?.fromCache).toBe(false)
  })

  test('an answer that is expired at birth leaves no record', async () => {
    const { entra, map, ask } = host()
    entra.answers.on_behalf_of = { lifetime: -10 }
    await ask(entra.assertion(entra.user()))
    expect(map.size).toBe(0)
  })

  test("MSAL's removeAccount deletes the record", async () => {
    const { entra, map, client, ask } = host()
    const assertion = entra.assertion(entra.user())
    await ask(assertion)
    const cache = client(assertion).getTokenCache()
    const [account = expect.fail('no account')] = await cache.getAllAccounts()
    await cache.removeAccount(account)
    // Links expire by themselves.
    expect([...map.keys()].filter((key) => !/_[snd]$/.test(key))).toEqual([])
  })
})

test('an outage is an error, and nothing is written after it (P7)', async () => {
  const { entra, map, store, ask } = host()
  const assertion = entra.assertion(entra.user())
  const down = () => {
    throw new Error('down')
  }
  store.before('read', down)
  await expect(ask(assertion)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
  expect(entra.tokenRequests.on_behalf_of).toBe(0)
  store.before('write', down)
  await expect(ask(assertion)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
  expect(map.size).toBe(0)
})

test.each(['', undefined, 7])('forAssertion refuses %j', (assertion) => {
  const { plugin } = host()
  expect(() => plugin.forAssertion(assertion as string)).toThrow(TypeError)
})

test.each(['opaque', 'a.b.c', `a.${Buffer.from('7').toString('base64url')}.c`])(
  'an assertion that is no JWT, %s, is one all the same',
  (assertion) => {
    expect(() => host().plugin.forAssertion(assertion)).not.toThrow()
  },
)

test('a token that Entra ID dated back by five minutes counts from when it was issued', async () => {
  const { entra, plugin, ask } = host()
  const user = entra.user()
  await ask(entra.assertion(user))
  pass(HOUR)
  await plugin.evictAccount(user.homeAccountId)
  pass(10 * SECOND)
  const iat = Math.floor(Date.now() / 1000) - 300
  const iss = entra.issuerFor(TENANT_ID)
  expect((await ask(entra.assertion(user, { iss, iat, nbf: iat })))?.accessToken).not.toBe('')
  for (const claims of [
    { iss, iat },
    { iss: 'https://op.example', iat, nbf: iat },
    { iss, iat: iat - 11, nbf: iat - 11 },
  ]) {
    await expect(ask(entra.assertion(user, claims))).rejects.toMatchObject({ code: 'ERR_ACCOUNT_EVICTED' })
  }
})
