import { randomUUID } from 'node:crypto'
import Keyv from 'keyv'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { KeyvCachePlugin } from '../../src/index.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn, SCOPES, type User } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'
import { observe } from '../support/observed-store.ts'
import { isStored } from '../support/stored.ts'

const SECOND = 1000
const HOUR = 60 * 60 * SECOND
const FORTNIGHT = 14 * 24 * HOUR

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }).setSystemTime(1_800_000_000_000))
afterEach(() => void vi.useRealTimers())

function pass(milliseconds: number): void {
  vi.setSystemTime(Date.now() + milliseconds)
}

function host(entra = new EntraStandIn({ size: 'small' }), Plugin = KeyvCachePlugin) {
  const map = new Map<string, string>()
  const store = observe(new Keyv({ store: map }))
  const plugin = new Plugin({ store: store.keyv, clientId: CLIENT_ID })
  const client = (sessionKey: string, assertion?: string, by = plugin) =>
    entra.client(by.forLongRunningProcess(sessionKey, assertion))
  const begin = async (sessionKey: string, assertion: string, by = client(sessionKey, assertion)) => {
    await by.getTokenCache().getAllAccounts()
    return by.acquireTokenOnBehalfOf({ oboAssertion: assertion, scopes: SCOPES })
  }
  const goOn = (sessionKey: string, user: User, forceRefresh = false, by = client(sessionKey)) =>
    acquireSilently(by, user.homeAccountId, { forceRefresh })
  const text = () =>
    [...map]
      .filter(([key]) => key.endsWith('_l'))
      .map(([, value]) => value)
      .join()
  return { entra, map, store, plugin, client, begin, goOn, text, user: entra.user(), key: randomUUID() }
}

const evicted = { code: 'ERR_ACCOUNT_EVICTED' }

test('begins with an assertion and goes on without, in every process: 5 store calls, then 2, a refresh 6', async () => {
  const { entra, store, plugin, client, begin, goOn, user, key } = host()
  await isStored(plugin, 'warm-up')
  store.calls()
  const first = await begin(key, entra.assertion(user))
  expect(store.calls()).toEqual(['read', 'read', 'read', 'read', 'write'])
  const other = new KeyvCachePlugin({ store: store.keyv, clientId: CLIENT_ID })
  const hit = await goOn(key, user, false, client(key, undefined, other))
  expect(hit).toMatchObject({ fromCache: true, accessToken: first?.accessToken })
  expect(store.calls()).toEqual(['read', 'read'])

  pass(2 * HOUR)
  const refreshed = await goOn(key, user)
  expect(refreshed.fromCache).toBe(false)
  expect(store.calls()).toEqual(['read', 'read', 'read', 'read', 'read', 'write'])
  expect(await goOn(key, user)).toMatchObject({ fromCache: true, accessToken: refreshed.accessToken })
  expect(entra.tokenRequests).toMatchObject({ on_behalf_of: 1, refresh_token: 1 })
})

test('lives for ttl after its last write, and its key is not in the store', async () => {
  const { entra, map, begin, goOn, user, key } = host()
  await begin(key, entra.assertion(user))
  expect([...map].join()).not.toContain(key)
  for (let n = 0; n < 3; n++) {
    pass(FORTNIGHT - SECOND)
    await goOn(key, user, true)
  }
  pass(FORTNIGHT)
  await expect(goOn(key, user)).rejects.toThrow('no_tokens_found')
})

test('an assertion of the same process and account replaces the tokens', async () => {
  const { entra, begin, goOn, text, user, key } = host()
  const first = await begin(key, entra.assertion(user))
  const second = await begin(key, entra.assertion(user))
  expect(second?.accessToken).not.toBe(first?.accessToken)
  expect(text()).not.toContain(first?.accessToken)
  expect((await goOn(key, user)).accessToken).toBe(second?.accessToken)
})

describe('isolation (P1)', () => {
  test('a key of another account is refused, and of another process shows nothing', async () => {
    const { entra, begin, goOn, text, user, key } = host()
    await begin(key, entra.assertion(user))
    const before = text()
    const other = entra.user()
    await expect(begin(key, entra.assertion(other))).rejects.toMatchObject({ code: 'ERR_CONFIGURATION' })
    expect(text()).toBe(before)
    await expect(goOn(randomUUID(), user)).rejects.toThrow('no_tokens_found')
  })

  test('without the assertion, or with another, it does not begin', async () => {
    const { entra, client, begin, map, user, key } = host()
    const assertion = entra.assertion(user)
    await expect(begin(key, assertion, client(key))).rejects.toThrow(/forLongRunningProcess has no assertion/)
    const another = client(key, entra.assertion(user))
    await expect(begin(key, assertion, another)).rejects.toMatchObject({ code: 'ERR_CONFIGURATION' })
    expect(map.size).toBe(0)
  })

  test("another user's sign-in through such a client is stored as that", async () => {
    const { entra, plugin, client, begin, goOn, text, user, key } = host()
    await begin(key, entra.assertion(user))
    const before = text()
    const other = entra.user()
    await entra.signIn(client(key), other)
    expect(await isStored(plugin, other)).toBe(true)
    expect(text()).toBe(before)
    expect((await goOn(key, user)).fromCache).toBe(true)
  })

  test('a refresh answer without id_token and client_info stays in its record', async () => {
    const { entra, begin, goOn, map, user, key } = host(new EntraStandIn({ flavour: 'oidc', size: 'small' }))
    await begin(key, entra.assertion(user))
    entra.answers.refresh_token = { omit: ['id_token', 'client_info'] }
    const refreshed = await goOn(key, user, true)
    expect(await goOn(key, user)).toMatchObject({ fromCache: true, accessToken: refreshed.accessToken })
    // And the list that it stands on, and its links.
    expect([...map.keys()].map((name) => name.slice(-2)).sort()).toEqual(['_i', '_l', '_n', '_s'])
  })
})

describe('eviction (P3)', () => {
  test('ends it, and a fresh assertion begins anew at once (P5)', async () => {
    const { entra, plugin, begin, goOn, user, key } = host()
    const old = entra.assertion(user)
    await begin(key, old)
    await plugin.evictAccount(user.homeAccountId)
    await expect(goOn(key, user)).rejects.toThrow('no_tokens_found')
    await expect(begin(key, old)).rejects.toMatchObject(evicted)
    await expect(begin(randomUUID(), old)).rejects.toMatchObject(evicted)
    pass(SECOND)
    await begin(key, entra.assertion(user))
    expect((await goOn(key, user)).fromCache).toBe(true)
  })

  /** @returns the chains in the store after an eviction, and maybe a new beginning, under a refresh in flight */
  async function refreshOver(restart: boolean, Plugin?: typeof KeyvCachePlugin, omit: ['id_token'?] = []) {
    const made = host(undefined, Plugin)
    const { entra, plugin, begin, goOn, user, key, text } = made
    await begin(key, entra.assertion(user))
    entra.answers.refresh_token = { omit: omit as 'id_token'[] }
    const held = entra.hold(({ grant }) => grant === 'refresh_token')
    const refresh = goOn(key, user, true)
    const { chain } = await held.arrived
    await plugin.evictAccount(user.homeAccountId)
    pass(SECOND)
    if (restart) await begin(key, entra.assertion(user))
    held.release()
    await refresh
    const token = await goOn(key, user).catch(() => undefined)
    return { ...made, chain, token, chains: entra.tokensIn(text()).map((issued) => issued.chain) }
  }

  test('holds against a refresh in flight, also when the process has begun anew', async () => {
    const { entra, chain, chains, token } = await refreshOver(true)
    expect(chains.length).toBeGreaterThan(0)
    expect(chains).not.toContain(chain)
    expect(entra.ownerOf(token?.accessToken ?? '')?.chain).not.toBe(chain)
    expect((await refreshOver(false)).token).toBeUndefined()
  })

  test('and against one that does not name its account by an ID token', async () => {
    for (const restart of [true, false]) {
      const { plugin, user, chain, chains, entra, map } = await refreshOver(restart, undefined, ['id_token'])
      expect(chains.filter((of) => restart && of === chain)).toEqual([])
      expect(await isStored(plugin, user)).toBe(false)
      const partitions = [...map].filter(([name]) => name.endsWith('_p')).join()
      expect(entra.tokensIn(partitions)).toEqual([])
    }
  })

  test('with such an answer taken for a sign-in, the evicted user is signed in again', async () => {
    const broken = await mutant('refresh taken for a sign-in')
    const { plugin, user } = await refreshOver(false, broken.KeyvCachePlugin, ['id_token'])
    expect(await isStored(plugin, user)).toBe(true)
  })

  test('without its pin, the old chain gets into the new process', async () => {
    const broken = await mutant('pin never ends')
    const { chain, chains } = await refreshOver(true, broken.KeyvCachePlugin)
    expect(chains).toContain(chain)
  })

  test('of an eviction that crashed behind its fence too, unless the generation is unchecked', async () => {
    const goesOn = async (Plugin: typeof KeyvCachePlugin) => {
      const { entra, map, plugin, begin, goOn, user, key } = host(undefined, Plugin)
      await begin(key, entra.assertion(user))
      const records = [...map].filter(([name]) => name.endsWith('_l'))
      await plugin.evictAccount(user.homeAccountId)
      for (const [name, text] of records) map.set(name, text)
      return goOn(key, user).then(
        () => true,
        () => false,
      )
    }
    expect(await goesOn(KeyvCachePlugin)).toBe(false)
    expect(await goesOn((await mutant('token record of any generation')).KeyvCachePlugin)).toBe(true)
  })
})

test("MSAL's removeAccount ends the process, and evicts nobody", async () => {
  const { entra, map, plugin, client, begin, user, key } = host()
  await entra.signIn(entra.client(plugin), user)
  await begin(key, entra.assertion(user))
  const cache = client(key).getTokenCache()
  const [account = expect.fail('no account')] = await cache.getAllAccounts()
  await cache.removeAccount(account)
  expect([...map.keys()].filter((name) => name.endsWith('_l'))).toEqual([])
  expect(await isStored(plugin, user)).toBe(true)
})

test.each(['', undefined, 'x'.repeat(1025)])('forLongRunningProcess refuses the session key %j', (key) => {
  expect(() => host().plugin.forLongRunningProcess(key as string)).toThrow(/sessionKey/)
})
