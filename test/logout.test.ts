import Keyv from 'keyv'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import {
  type AccountRef,
  ConfidentialClients,
  ConfigurationError,
  type HostSession,
  KeyvCachePlugin,
  LogoutCallbackError,
  LogoutHandler,
  type LogoutOptions,
} from '../src/index.ts'
import { claims, post, type SigningKey, sign, signingKey } from './logout/provider.ts'
import { CLIENT_ID, EntraStandIn, SCOPES, TENANT_ID, type User } from './support/entra.ts'
import { mutant } from './support/mutant.ts'
import { observe } from './support/observed-store.ts'
import { isStored } from './support/stored.ts'

const TEMPLATE = 'https://login.microsoftonline.com/{tenantid}/v2.0'
const ISSUER = TEMPLATE.replace('{tenantid}', TENANT_ID)
const OTHER_TENANT = '11111111-2222-4333-8444-555555555555'

let key: SigningKey
beforeAll(async () => {
  key = await signingKey('key-1')
})

function host(
  options: Partial<LogoutOptions> = {},
  entra = new EntraStandIn({ size: 'small' }),
  library: Partial<typeof import('../src/index.ts')> = {},
) {
  const store = observe(new Keyv())
  const Library = { ConfidentialClients, LogoutHandler, ...library }
  const msal = new Library.ConfidentialClients(entra.configuration(), { store: store.keyv })
  const jwks = { keys: [key.jwk] }
  const logout = new Library.LogoutHandler(msal, { issuer: TEMPLATE, jwks, ...options })
  const signIn = async (user: User, sessionState?: string): Promise<HostSession> => {
    return (await entra.enter(msal, user, { sessionState })).session
  }
  const frontChannel = (query: Record<string, string>, session?: HostSession | AccountRef) =>
    logout.handle({ method: 'GET', url: `/logout?${new URLSearchParams(query)}` }, session)
  let tokens = 0
  const token = (changes: Record<string, unknown>) => {
    const now = Math.floor(Date.now() / 1000)
    const own = { iss: ISSUER, aud: CLIENT_ID, jti: `token-${++tokens}`, iat: now, exp: now + 120 }
    return sign(key, claims({ sid: undefined, sub: undefined, ...own, ...changes }))
  }
  const backChannel = async (changes: Record<string, unknown>) =>
    logout.handle(post({ logout_token: await token(changes) }))
  return { entra, store, msal, logout, signIn, frontChannel, backChannel, token, user: () => entra.user() }
}

const OK = { status: 200, headers: { 'cache-control': 'no-store' } }

describe('a front-channel callback', () => {
  test('with sid alone, as Entra ID sends it, evicts that account without any cookie; others stay', async () => {
    const { msal, frontChannel, signIn, entra } = host()
    const [alice, bob] = [entra.user({ sid: 'session-a' }), entra.user({ sid: 'session-b' })]
    const session = await signIn(alice)
    await signIn(bob)
    const outcome = await frontChannel({ sid: 'session-a' })
    expect(outcome).toEqual({
      ...OK,
      result: 'evicted',
      evicted: [{ homeAccountId: alice.homeAccountId, sid: 'session-a' }],
      endedAlone: [],
      callback: { kind: 'front-channel', sid: 'session-a' },
    })
    await expect(msal.acquireTokenSilent(session, { scopes: SCOPES })).rejects.toMatchObject({
      errorCode: 'no_tokens_found',
    })
    expect(await isStored(msal.plugin, bob)).toBe(true)
    expect(await frontChannel({ sid: 'session-a' })).toMatchObject({
      ...OK,
      result: 'stale-session',
      evicted: [],
    })
  })

  test('with the issuer too finds it under that issuer only', async () => {
    const { msal, frontChannel, signIn, entra } = host()
    const user = entra.user({ sid: 'shared' })
    const other = entra.user({ sid: 'shared', utid: OTHER_TENANT })
    await signIn(user)
    await signIn(other)
    expect(await frontChannel({ sid: 'shared', iss: ISSUER })).toMatchObject({
      evicted: [{ homeAccountId: user.homeAccountId }],
    })
    expect(await isStored(msal.plugin, other)).toBe(true)
  })

  test('of another issuer is answered and ignored', async () => {
    const { msal, frontChannel, signIn, entra } = host()
    const user = entra.user({ sid: 'session' })
    const session = await signIn(user)
    const foreign = await frontChannel({ sid: 'session', iss: 'https://evil.example' }, session)
    expect(foreign).toMatchObject({ ...OK, result: 'unknown-session' })
    expect(await isStored(msal.plugin, user)).toBe(true)
  })

  test('two issuers with one sid never mix, also where the callback names none', async () => {
    const { store, frontChannel, signIn, entra, msal } = host({ issuer: ISSUER })
    const elsewhere = entra.user({ sid: 'shared', utid: OTHER_TENANT })
    await signIn(elsewhere)
    expect(await frontChannel({ sid: 'shared' })).toMatchObject({ ...OK, result: 'issuer-mismatch' })
    expect(await isStored(msal.plugin, elsewhere)).toBe(true)
    expect(store.calls()).toContain('read')
  })

  test('finds by session_state where the ID token had no sid, through both ways of signing in', async () => {
    const { msal, frontChannel, signIn, entra } = host()
    const [one, two] = [entra.user({ sid: null }), entra.user({ sid: null })]
    await signIn(one, 'state-1')
    expect(await frontChannel({ sid: 'state-1' })).toMatchObject({ result: 'evicted' })

    const result = await entra.signIn(entra.client(msal.plugin), two)
    await msal.plugin.openSession(result, { sessionState: 'state-2' })
    expect(await frontChannel({ sid: 'state-2' })).toMatchObject({
      evicted: [{ homeAccountId: two.homeAccountId }],
    })
    expect(await isStored(msal.plugin, two)).toBe(false)
  })

  test('finds every session of an account, also those before its last sign-in, after refreshes', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const { msal, frontChannel, signIn, entra } = host()
    const user = entra.user({ sid: 'laptop' })
    await signIn(user)
    await signIn({ ...user, sid: 'phone' })
    const days = 24 * 60 * 60 * 1000
    for (let week = 0; week < 3; week++) {
      vi.setSystemTime(Date.now() + 7 * days)
      await msal.acquireTokenSilent(
        { homeAccountId: user.homeAccountId },
        { scopes: SCOPES, forceRefresh: true },
      )
    }
    expect(await frontChannel({ sid: 'laptop' })).toMatchObject({ result: 'evicted' })
    vi.useRealTimers()
  })

  test('finds an account by one sid under both issuers, at home and as a guest', async () => {
    for (const iss of [ISSUER, ISSUER.replace(TENANT_ID, OTHER_TENANT)]) {
      const { msal, frontChannel, signIn, entra } = host()
      const user = entra.user({ sid: 'session' })
      await signIn(user)
      await signIn({ ...user, tid: OTHER_TENANT })
      expect(await frontChannel({ sid: 'session', iss })).toMatchObject({ result: 'evicted' })
      expect(await isStored(msal.plugin, user)).toBe(false)
    }
  })

  test('that names nobody takes the host’s own session, and only then', async () => {
    const { msal, frontChannel, signIn, entra } = host()
    const [alice, bob] = [entra.user({ sid: 'session-a' }), entra.user({ sid: 'session-b' })]
    const session = await signIn(alice)
    await signIn(bob)
    expect(await frontChannel({ sid: 'session-b' }, session)).toMatchObject({
      evicted: [{ homeAccountId: bob.homeAccountId }],
    })
    expect(await isStored(msal.plugin, alice)).toBe(true)
    expect(await frontChannel({ sid: 'unknown' }, session)).toMatchObject({ result: 'unknown-session' })
    expect(await isStored(msal.plugin, alice)).toBe(true)
    expect(await frontChannel({})).toMatchObject({ ...OK, result: 'unknown-session' })
    expect(await frontChannel({}, session)).toMatchObject({
      ...OK,
      result: 'evicted',
      evicted: [{ homeAccountId: alice.homeAccountId }],
    })
    await signIn(alice)
    expect(await frontChannel({}, session)).toMatchObject({ ...OK, result: 'stale-session' })
    expect(await isStored(msal.plugin, alice)).toBe(true)
  })

  test('costs five store calls; of an unknown session, one', async () => {
    const { store, frontChannel, signIn, entra } = host()
    await signIn(entra.user({ sid: 'session' }))
    store.calls()
    await frontChannel({ sid: 'session' })
    expect(store.calls()).toEqual(['read', 'read', 'write', 'read', 'delete'])
    await frontChannel({ sid: 'unknown' })
    expect(store.calls()).toEqual(['read'])
  })
})

describe('a back-channel callback', () => {
  test('with sid evicts that session’s account', async () => {
    const { msal, backChannel, signIn, entra } = host()
    const [alice, bob] = [entra.user({ sid: 'session-a' }), entra.user({ sid: 'session-b' })]
    await signIn(alice)
    await signIn(bob)
    expect(await backChannel({ sid: 'session-a' })).toMatchObject({
      ...OK,
      result: 'evicted',
      evicted: [{ homeAccountId: alice.homeAccountId, sid: 'session-a' }],
      callback: { kind: 'back-channel', issuer: ISSUER },
    })
    expect(await isStored(msal.plugin, alice)).toBe(false)
    expect(await isStored(msal.plugin, bob)).toBe(true)
  })

  test('with sub alone evicts every account of that person: B2C’s user flows make several', async () => {
    const entra = new EntraStandIn({ flavour: 'b2c', size: 'small' })
    const issuer = entra.issuerFor(TENANT_ID)
    const { msal, backChannel, signIn } = host({ issuer }, entra)
    const flows = ['b2c_1_signin', 'b2c_1_edit'].map((flow) =>
      entra.user({ uid: `guid-${flow}`, sub: 'the person', sid: null }),
    )
    const somebodyElse = entra.user({ sub: 'somebody else', sid: null })
    for (const user of [...flows, somebodyElse]) await signIn(user)
    const outcome = await backChannel({ iss: issuer, sub: 'the person' })
    expect(outcome.evicted.map(({ homeAccountId }) => homeAccountId).sort()).toEqual(
      flows.map(({ homeAccountId }) => homeAccountId).sort(),
    )
    expect(await isStored(msal.plugin, somebodyElse)).toBe(true)
  })

  test('is refused the second time, and a delayed one of an earlier session ends no later one', async () => {
    const { msal, logout, signIn, entra, token } = host()
    const user = entra.user({ sid: 'session' })
    await signIn(user)
    const first = await token({ sid: 'session' })
    const delayed = await token({ sid: 'session' })
    expect(await logout.handle(post({ logout_token: first }))).toMatchObject({ ...OK, result: 'evicted' })
    const again = await signIn({ ...user, sid: 'the next session' })

    expect(await logout.handle(post({ logout_token: first }))).toMatchObject({
      status: 400,
      body: expect.stringContaining('invalid_request'),
      result: 'failed',
      error: expect.any(LogoutCallbackError),
    })
    expect(await logout.handle(post({ logout_token: delayed }))).toMatchObject({
      ...OK,
      result: 'stale-session',
    })
    expect(await msal.plugin.isSignedIn(again)).toBe(true)
  })

  test('that names a session which nobody was ever in, and somebody: ends that person’s accounts (E4)', async () => {
    const unknownSession = async (options: Partial<LogoutOptions & { ends: 'session' }>, library = {}) => {
      const { entra, signIn, msal, logout, token } = host(options, undefined, library)
      const user = entra.user({ sid: 'here', sub: 'the person' })
      await signIn(user)
      const outcome = await logout.handle(
        post({ logout_token: await token({ sid: 'elsewhere', sub: 'the person' }) }),
      )
      return { result: outcome.result, isSignedIn: await isStored(msal.plugin, user) }
    }
    expect(await unknownSession({})).toEqual({ result: 'evicted', isSignedIn: false })
    expect(await unknownSession({ ends: 'session' })).toEqual({ result: 'unknown-session', isSignedIn: true })
    const broken = await mutant('a subject counts only without a session')
    expect(await unknownSession({}, broken)).toEqual({ result: 'unknown-session', isSignedIn: true })
  })

  test('costs six store calls', async () => {
    const { store, backChannel, signIn, entra } = host()
    await signIn(entra.user({ sid: 'session' }))
    store.calls()
    await backChannel({ sid: 'session' })
    expect(store.calls()).toEqual(['read', 'read', 'write', 'read', 'delete', 'write'])
  })

  test('a bad one is answered 400 with an OAuth error, exactly', async () => {
    const { backChannel } = host()
    const outcome = await backChannel({ sid: 'session', aud: 'another' })
    expect(outcome).toMatchObject({
      status: 400,
      headers: { 'cache-control': 'no-store', 'content-type': 'application/json' },
      result: 'failed',
    })
    expect(JSON.parse(outcome.body ?? '')).toEqual({
      error: 'invalid_request',
      error_description: expect.any(String),
    })
  })
})

describe('when the store fails', () => {
  test.each(['read', 'write', 'delete'] as const)(
    'in %s: 400 on the back channel, 503 on the front channel, and both can be repeated',
    async (call) => {
      const { store, msal, frontChannel, logout, signIn, entra, token } = host()
      const user = entra.user({ sid: 'session' })
      const down = () =>
        store.before(call, () => {
          throw new Error('down')
        })
      await signIn(user)
      const logoutToken = await token({ sid: 'session' })
      down()
      const back = await logout.handle(post({ logout_token: logoutToken }))
      expect(back).toMatchObject({ status: 400, result: 'failed', error: { code: expect.any(String) } })
      down()
      expect(await frontChannel({ sid: 'session' })).toMatchObject(
        // A deletion that failed was fenced by the first callback: there is nothing left to end.
        call === 'delete'
          ? { status: 200 }
          : { status: 503, error: { code: expect.stringMatching(/STORE|EVICTION/) } },
      )
      await logout.handle(post({ logout_token: logoutToken }))
      expect(await isStored(msal.plugin, user)).toBe(false)
    },
  )
})

test('the outcome fits a web Response and an Express-like one', async () => {
  const { backChannel } = host()
  const outcome = await backChannel({ sid: 'unknown' })
  const response = new Response(outcome.body, outcome)
  expect(response.status).toBe(200)
  expect(response.headers.get('cache-control')).toBe('no-store')
})

test('another method is answered 405 with what is allowed', async () => {
  const { logout } = host()
  expect(await logout.handle({ method: 'PUT', url: '/logout' })).toMatchObject({
    status: 405,
    headers: { allow: 'GET, POST' },
  })
})

test.each([
  ['plugin', {}, { issuer: ISSUER }],
  ['issuer', undefined, {}],
  ['algorithms', undefined, { issuer: ISSUER, algorithms: ['none'] }],
  ['jwk', undefined, { issuer: ISSUER, jwk: {} }],
] as [string, unknown, unknown][])('%s is named when it is wrong', (name, plugin, options) => {
  const good = new KeyvCachePlugin({ store: new Keyv(), clientId: CLIENT_ID })
  const make = () => new LogoutHandler((plugin ?? good) as never, options as never)
  expect(make).toThrow(ConfigurationError)
  expect(make).toThrow(name)
})

describe('broken on purpose', () => {
  async function lateCallbackEndsTheNext(library: typeof import('../src/index.ts')): Promise<boolean> {
    const entra = new EntraStandIn({ size: 'small' })
    const plugin = new library.KeyvCachePlugin({ store: new Keyv(), clientId: CLIENT_ID })
    const logout = new library.LogoutHandler(plugin, { issuer: TEMPLATE })
    const user = entra.user({ sid: 'session' })
    await entra.signIn(entra.client(plugin), user)
    await plugin.evictAccount(user.homeAccountId)
    await entra.signIn(entra.client(plugin), { ...user, sid: 'the next' })
    await logout.handle({ method: 'GET', url: '/?sid=session' })
    return !(await isStored(plugin, user))
  }

  test('without the check of the generation, a late callback ends the next sign-in', async () => {
    const good = await import('../src/index.ts')
    expect(await lateCallbackEndsTheNext(good)).toBe(false)
    const broken = await mutant('callback of any generation')
    expect(await lateCallbackEndsTheNext(broken)).toBe(true)
  })

  test('without the check of the issuer, two issuers mix', async () => {
    const broken = await mutant('callback of any issuer')
    const entra = new EntraStandIn({ size: 'small' })
    const plugin = new broken.KeyvCachePlugin({ store: new Keyv(), clientId: CLIENT_ID })
    const logout = new broken.LogoutHandler(plugin, { issuer: ISSUER })
    const elsewhere = entra.user({ sid: 'shared', utid: OTHER_TENANT })
    await entra.signIn(entra.client(plugin), elsewhere)
    expect(await logout.handle({ method: 'GET', url: '/?sid=shared' })).toMatchObject({ result: 'evicted' })
  })
})
