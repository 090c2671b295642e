import type { ClientCredentialRequest } from '@azure/msal-node'
import Keyv from 'keyv'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { KeyvCachePlugin } from '../../src/index.ts'
import { CLIENT_ID, EntraStandIn, SCOPES, TENANT_ID } from '../support/entra.ts'
import { length } from '../support/length.ts'
import { mutant } from '../support/mutant.ts'
import { observe } from '../support/observed-store.ts'
import { isStored, storedText } from '../support/stored.ts'

const OTHER_TENANT = '0e4a4700-0000-4000-8000-00000000047e'
const HOUR = 60 * 60 * 1000
const scopes = ['https://graph.microsoft.com/.default']

function host(entra = new EntraStandIn({ size: 'small' }), Plugin = KeyvCachePlugin, ttl?: number) {
  const map = new Map<string, string>()
  const store = observe(new Keyv({ store: map }))
  const plugin = new Plugin({ store: store.keyv, clientId: CLIENT_ID, ttl })
  const client = (tenantId = TENANT_ID, by = plugin) =>
    entra.client(by.forApp(tenantId), {
      auth: { authority: `https://login.microsoftonline.com/${tenantId}` },
    })
  const ask = (request: Partial<ClientCredentialRequest> = {}, by = client()) =>
    by.acquireTokenByClientCredential({ scopes, ...request })
  return { entra, map, store, plugin, client, ask, text: () => [...map.values()].join() }
}

interface KeyvValue {
  value: string
  expires: number
}

function headers(map: Map<string, string>): { x: number; g?: string }[] {
  return [...map.values()].map((text) => {
    const { value } = JSON.parse(text) as KeyvValue
    return JSON.parse(value.slice(0, value.indexOf('\n'))) as { x: number; g?: string }
  })
}

describe('what it costs (P10)', () => {
  test('first 3 store calls, a hit 1, in this process and in another', async () => {
    const { entra, store, client, ask } = host()
    const first = await ask()
    expect(store.calls()).toEqual(['read', 'read', 'write'])
    const other = new KeyvCachePlugin({ store: store.keyv, clientId: CLIENT_ID })
    for (const by of [client(), client(TENANT_ID, other), client(TENANT_ID.toUpperCase())]) {
      expect(await ask({}, by)).toMatchObject({ fromCache: true, accessToken: first?.accessToken })
      expect(store.calls()).toEqual(['read'])
    }
    expect(entra.tokenRequests.client_credentials).toBe(1)
  })

  const TENANTS = length({ short: 500, long: 10_000 })
  test(`${TENANTS} tenants: a record each, and a hit is one store call that reads one record`, async () => {
    const { entra, map, store, client, ask } = host()
    const tenants = Array.from(
      { length: TENANTS },
      (_, n) => `${String(n).padStart(8, '0')}-0000-4000-8000-000000000000`,
    )
    for (const tenantId of tenants) await ask({}, client(tenantId))
    expect(map.size).toBe(TENANTS)
    store.calls()
    const size = Math.max(...[...map.values()].map((value) => value.length))
    expect(size).toBeLessThan(2_000)
    const hit = await ask({}, client(tenants[TENANTS - 7]))
    expect(hit?.fromCache).toBe(true)
    expect(store.calls()).toEqual(['read'])
    expect(entra.tokenRequests.client_credentials).toBe(TENANTS)
  })
})

describe('isolation (P1)', () => {
  test('each tenant, client id and namespace has its own record', async () => {
    const { map, store, client, ask } = host()
    await ask()
    expect((await ask({}, client(OTHER_TENANT)))?.fromCache).toBe(false)
    const named = new KeyvCachePlugin({ store: store.keyv, clientId: CLIENT_ID, namespace: 'eu' })
    expect((await ask({}, client(TENANT_ID, named)))?.fromCache).toBe(false)
    const foreign = new KeyvCachePlugin({ store: store.keyv, clientId: 'another' })
    expect((await ask({}, client(TENANT_ID, foreign)))?.fromCache).toBe(false)
    expect(map.size).toBe(4)
  })

  const authority = `https://login.microsoftonline.com/${OTHER_TENANT}`

  test('a token of another tenant is refused loudly, stored nowhere, and leaves memory', async () => {
    const { entra, map, client } = host()
    const by = client()
    await expect(by.acquireTokenByClientCredential({ scopes, authority })).rejects.toMatchObject({
      code: 'ERR_CONFIGURATION',
      message: expect.stringMatching(new RegExp(`${OTHER_TENANT}.*${TENANT_ID}.*authority`)),
    })
    expect(map.size).toBe(0)
    expect(entra.tokensIn(JSON.stringify(by.getTokenCache().getKVStore()))).toEqual([])
  })

  test('without a look at the realm it is stored', async () => {
    const broken = await mutant('app token of any tenant')
    const { map, client } = host(undefined, broken.KeyvCachePlugin)
    await client().acquireTokenByClientCredential({ scopes, authority })
    expect(map.size).toBe(1)
  })

  test('an OpenID provider knows no tenants: an empty realm is accepted', async () => {
    const entra = new EntraStandIn({ flavour: 'oidc', size: 'small' })
    const { plugin, map } = host(entra)
    const ask = () => entra.client(plugin.forApp('idp.example')).acquireTokenByClientCredential({ scopes })
    const first = await ask()
    expect(map.size).toBe(1)
    expect(await ask()).toMatchObject({ fromCache: true, accessToken: first?.accessToken })
  })

  test("a user's sign-in through such a client is stored as that, and not in the tenant's record", async () => {
    const { entra, map, store, plugin, client, ask, text } = host()
    await ask()
    const [record] = [...map.values()]
    const user = entra.user()
    const by = client()
    await entra.signIn(by, user)
    expect([...map.values()][0]).toBe(record)
    expect(entra.tokensIn(await storedText(store.keyv, user.homeAccountId))).toHaveLength(3)
    expect(await isStored(plugin, user)).toBe(true)
    expect(entra.tokensIn(JSON.stringify(by.getTokenCache().getKVStore()))).toHaveLength(1)
    expect(await by.getTokenCache().getAllAccounts()).toEqual([])
    expect(text()).toContain(record)
  })

  test('what an OpenID provider answers to a user without naming one is refused, not taken for an app token', async () => {
    const entra = new EntraStandIn({ flavour: 'oidc', size: 'small' })
    const { plugin, map } = host(entra)
    entra.answers.authorization_code = { omit: ['id_token', 'refresh_token'] }
    await expect(entra.signIn(entra.client(plugin.forApp('idp.example')), entra.user())).rejects.toThrow(
      /do not name the user/,
    )
    expect(map.size).toBe(0)
  })

  test('an on-behalf-of answer does not land in it', async () => {
    const { entra, map, client } = host()
    const oboAssertion = entra.assertion(entra.user(), { idtyp: 'app' })
    entra.answers.on_behalf_of = { omit: ['id_token', 'client_info', 'refresh_token'] }
    await client().acquireTokenOnBehalfOf({ oboAssertion, scopes: SCOPES })
    expect(map.size).toBe(0)
  })

  test('evicting a user leaves it alone', async () => {
    const { entra, plugin, ask } = host()
    const user = entra.user()
    await entra.signIn(entra.client(plugin), user)
    await ask()
    await plugin.evictAccount(user.homeAccountId)
    expect((await ask())?.fromCache).toBe(true)
  })
})

describe("MSAL's other cache key components", () => {
  test('claims bypass the cache, and the answer replaces the cached one', async () => {
    const { map, ask } = host()
    const first = await ask()
    const challenged = await ask({ claims: '{"access_token":{"xms_cc":{"values":["cp1"]}}}' })
    expect(challenged?.fromCache).toBe(false)
    expect(challenged?.accessToken).not.toBe(first?.accessToken)
    expect(await ask()).toMatchObject({ fromCache: true, accessToken: challenged?.accessToken })
    expect([...map.values()].join()).not.toContain(first?.accessToken)
  })

  test('fmiPath and claimsFromClient have entries of their own, beside the plain one', async () => {
    const { entra, ask } = host()
    const requests: Partial<ClientCredentialRequest>[] = [
      {},
      { fmiPath: 'a/b' },
      { fmiPath: 'a/c' },
      { claimsFromClient: '{"access_token":{"x":null}}' },
      { fmiPath: 'a/b', claimsFromClient: '{"access_token":{"x":null}}' },
      { scopes: ['https://vault.azure.net/.default'] },
    ]
    const tokens = new Map<(typeof requests)[number], string | undefined>()
    for (const request of requests) tokens.set(request, (await ask(request))?.accessToken)
    expect(new Set(tokens.values()).size).toBe(requests.length)
    for (const [request, accessToken] of tokens) {
      expect(await ask(request)).toMatchObject({ fromCache: true, accessToken })
    }
    expect(entra.tokenRequests.client_credentials).toBe(requests.length)
  })

  test("with MSAL's own rule, a token with such components replaces the plain one", async () => {
    const broken = await mutant('cache key components ignored')
    const { ask } = host(undefined, broken.KeyvCachePlugin)
    await ask()
    await ask({ fmiPath: 'a/b' })
    expect((await ask())?.fromCache).toBe(false)
  })

  test('concurrent requests of one tenant lose no token', async () => {
    const { ask, client } = host()
    const resources = Array.from({ length: 20 }, (_, n) => [`api://${n}/.default`])
    const shared = client()
    await Promise.all(resources.map((of, n) => ask({ scopes: of }, n % 2 === 0 ? shared : client())))
    for (const of of resources) expect((await ask({ scopes: of }))?.fromCache).toBe(true)
  })
})

describe('nothing is left behind (P6)', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }).setSystemTime(1_800_000_000_000))
  afterEach(() => void vi.useRealTimers())

  test('the record expires with its last access token, extended lifetime included', async () => {
    const { entra, map, ask } = host()
    entra.answers.client_credentials = { lifetime: 3600 }
    await ask()
    entra.answers.client_credentials = { lifetime: 600 }
    await ask({ scopes: ['api://short/.default'] })
    // MSAL adds ext_expires_in to expires_in, and the stand-in grants the same for both.
    expect(headers(map)).toMatchObject([{ x: Date.now() + 2 * HOUR }])
    expect(headers(map)[0]).not.toHaveProperty('g')
  })

  test('but no later than ttl', async () => {
    const { map, ask } = host(undefined, KeyvCachePlugin, HOUR)
    await ask()
    expect(headers(map)).toMatchObject([{ x: Date.now() + HOUR }])
  })

  test('expired tokens go with the next write', async () => {
    const { map, ask, text } = host()
    const old = await ask()
    vi.setSystemTime(Date.now() + HOUR)
    await ask({ scopes: ['api://other/.default'] })
    expect(text()).toContain(old?.accessToken)
    vi.setSystemTime(Date.now() + HOUR + 1000)
    await ask({ scopes: ['api://third/.default'] })
    expect(map.size).toBe(1)
    expect(text()).not.toContain(old?.accessToken)
  })

  test('a token that is expired at birth leaves no record', async () => {
    const { entra, map, ask } = host()
    entra.answers.client_credentials = { lifetime: -10 }
    await ask()
    expect(map.size).toBe(0)
  })
})

test('an outage is an error, never a second token, and nothing is written after it (P7)', async () => {
  const { entra, map, store, ask } = host()
  store.before('read', () => {
    throw new Error('down')
  })
  await expect(ask()).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
  expect(entra.tokenRequests.client_credentials).toBe(0)
  expect(map.size).toBe(0)
})

test.each(['', ' ', 'a b', 'a/b', 'common', 'Organizations', 'consumers', 'x'.repeat(256), undefined, 7])(
  'forApp refuses %j',
  (tenantId) => {
    const { plugin } = host()
    expect(() => plugin.forApp(tenantId as string)).toThrow(TypeError)
    expect(() => plugin.forApp(tenantId as string)).toThrow('tenantId')
  },
)
