import { generateKeyPairSync } from 'node:crypto'
import { CryptoProvider, version } from '@azure/msal-node'
import Keyv from 'keyv'
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  ConfidentialClients,
  ConfigurationError,
  generateEncryptionKey,
  KeyvCachePlugin,
} from '../src/index.ts'
import { CLIENT_ID, EntraStandIn, type Flavour, SCOPES, type User } from './support/entra.ts'
import { observe } from './support/observed-store.ts'
import { isStored } from './support/stored.ts'

const redirectUri = 'https://app.example/callback'
const DAY = 24 * 60 * 60 * 1000

function host(flavour: Flavour = 'entra') {
  const entra = new EntraStandIn({ flavour, size: 'small' })
  const store = observe(new Keyv())
  const msal = new ConfidentialClients(entra.configuration(), { store: store.keyv })
  const user = entra.user()
  const signIn = async (of: User = user) => (await entra.enter(msal, of)).session
  const requests = () => Object.values(entra.tokenRequests).reduce((sum, count) => sum + count)
  return { entra, store, msal, user, signIn, requests }
}

afterEach(() => {
  vi.useRealTimers()
})

describe('signing in', () => {
  const pending = {
    state: 'the state',
    nonce: 'the nonce',
    codeVerifier: 'the verifier',
    request: { scopes: SCOPES, redirectUri },
  }

  test('takes code and session_state from the response, and returns the session', async () => {
    const { entra, msal, signIn } = host()
    const user = entra.user({ sid: null })
    const code = () => entra.code(user, { nonce: pending.nonce })
    const query = { code: code(), state: 'the state', session_state: 'the session' }
    const { session, result } = await msal.completeSignIn(pending, query)
    expect(session).toEqual({
      homeAccountId: user.homeAccountId,
      generation: expect.any(String),
      sid: 'the session',
      epoch: expect.any(String),
      since: expect.any(Number),
      tenantId: user.tid,
    })
    expect(result.account?.homeAccountId).toBe(user.homeAccountId)
    const parsed = new URLSearchParams({ ...query, code: code() })
    expect((await msal.completeSignIn(pending, parsed)).session.generation).toBe(session.generation)
    expect((await signIn(user)).sid).toBeUndefined()
  })

  test.each([
    ['state_mismatch', { code: 'c', state: 'another' }],
    ['state_mismatch', { code: 'c' }],
    ['state_mismatch', { error: 'access_denied' }],
    ['access_denied', { error: 'access_denied', error_description: 'alice said no', state: 'the state' }],
    ['code_missing', { state: 'the state', code: '' }],
    ['invalid_response', { state: ['the state', 'the state'], code: 'c' }],
    ['invalid_response', { state: 'the state', code: { nested: 'c' } }],
    ['invalid_response', { state: 'the state', error: 'no\nsuch <error>' }],
  ])('%s for the response %j', async (error, response) => {
    const { entra, msal } = host()
    const failed: unknown = await msal.completeSignIn(pending, response).catch((reason: unknown) => reason)
    expect(failed).toMatchObject({ code: 'ERR_AUTHORIZATION_RESPONSE', error })
    expect(String(failed)).not.toContain('alice')
    expect(entra.tokenRequests.authorization_code).toBe(0)
  })

  test('a refused code is MSAL’s own error', async () => {
    const { msal } = host()
    const { pending } = await msal.beginSignIn({ scopes: SCOPES, redirectUri })
    const response = { code: 'never issued', state: pending.state }
    await expect(msal.completeSignIn(pending, response)).rejects.toMatchObject({ errorCode: 'invalid_grant' })
  })
})

describe('silent tokens', () => {
  test('equal concurrent requests share one request to the provider, whatever their order of scopes', async () => {
    const { entra, msal, signIn } = host()
    const session = await signIn()
    const scopes = ['api://a/read', 'api://a/write']
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        msal.acquireTokenSilent(session, { scopes: index % 2 ? scopes : scopes.toReversed() }),
      ),
    )
    expect(entra.tokenRequests.refresh_token).toBe(1)
    expect(new Set(results.map((result) => result.accessToken)).size).toBe(1)
    expect(new Set(results).size).toBe(20)
    const [own] = await Promise.all([
      msal.acquireTokenSilent(session, { scopes, correlationId: 'mine' }),
      msal.acquireTokenSilent(session, { scopes, correlationId: 'another' }),
    ])
    expect(own.correlationId).toBe('mine')
  })

  test.each([
    ['claims', { claims: '{"access_token":{"nbf":{"essential":true}}}' }],
    ['resource', { resource: 'https://api.example' }],
    ['authority', { authority: 'https://login.microsoftonline.com/another-tenant' }],
    ['forceRefresh', { forceRefresh: true }],
    ['scopes', { scopes: ['api://b/read'] }],
  ])('a request that differs in %s is another request', async (_, difference) => {
    const { entra, msal, signIn } = host()
    const session = await signIn()
    const request = { scopes: ['api://a/read'] }
    await Promise.all([
      msal.acquireTokenSilent(session, request),
      msal.acquireTokenSilent(session, { ...request, ...difference }),
    ])
    expect(entra.tokenRequests.refresh_token).toBe(2)
  })

  test('a hit describes the account as a refresh does', async () => {
    const { entra, msal, signIn } = host()
    const guest = entra.user({ tid: '11111111-2222-4333-8444-555555555555' })
    for (const user of [entra.user(), guest]) {
      await signIn(user)
      // A guest's tenant is not the authority's: it has to be said.
      const account = { homeAccountId: user.homeAccountId, tenantId: user.tid }
      const authority = `https://login.microsoftonline.com/${user.tid}`
      const request = { scopes: SCOPES, authority }
      const refreshed = await msal.acquireTokenSilent(account, { ...request, forceRefresh: true })
      const hit = await msal.acquireTokenSilent(account, request)
      expect(hit.fromCache).toBe(true)
      for (const member of [
        'homeAccountId',
        'environment',
        'tenantId',
        'username',
        'localAccountId',
        'name',
      ] as const) {
        expect(hit.account?.[member]).toBe(refreshed.account?.[member])
      }
    }
  })

  test('a call that begins after an eviction does not share one from before (P3)', async () => {
    const { entra, msal, user, signIn } = host()
    await signIn()
    const held = entra.hold(({ grant }) => grant === 'refresh_token')
    const request = { scopes: ['api://a/read'] }
    const before = msal.acquireTokenSilent({ homeAccountId: user.homeAccountId }, request)
    await held.arrived
    await msal.plugin.evictAccount(user.homeAccountId)
    const after = msal.acquireTokenSilent({ homeAccountId: user.homeAccountId }, request)
    held.release()
    expect((await before).accessToken).not.toBe('')
    await expect(after).rejects.toMatchObject({ errorCode: 'no_tokens_found' })
  })

  test('a call that begins after a new sign-in does not share a failure from before (P5)', async () => {
    const { msal, user, signIn, store } = host()
    const gate = Promise.withResolvers<void>()
    store.before('read', () => gate.promise)
    const before = msal.acquireTokenSilent({ homeAccountId: user.homeAccountId }, { scopes: SCOPES })
    before.catch(() => {})
    await signIn()
    const after = msal.acquireTokenSilent({ homeAccountId: user.homeAccountId }, { scopes: SCOPES })
    await msal.plugin.evictAccount('somebody else')
    gate.resolve()
    expect((await after).accessToken).not.toBe('')
  })

  test('a session from before an eviction gets nothing after the user signed in again; the new one works', async () => {
    const { msal, user, signIn } = host()
    const old = await signIn()
    await msal.plugin.evictAccount(user.homeAccountId)
    const fresh = await signIn()
    await expect(msal.acquireTokenSilent(old, { scopes: SCOPES })).rejects.toMatchObject({
      errorCode: 'no_tokens_found',
    })
    expect((await msal.acquireTokenSilent(fresh, { scopes: SCOPES })).fromCache).toBe(true)
  })

  test('500 concurrent mixed calls of 50 users: no error, no wrong token, equal requests shared', async () => {
    const { entra, msal, signIn } = host()
    const users = Array.from({ length: 50 }, () => entra.user())
    const sessions = await Promise.all(users.map(signIn))
    const calls = Array.from({ length: 500 }, async (_, index) => {
      const user = users[index % 50] as User
      const session = sessions[index % 50]
      if (session === undefined) throw new Error('no session')
      const kind = Math.floor(index / 50) % 5
      if (kind === 0) return { user, result: await signIn(user) }
      const scopes = kind < 3 ? SCOPES : ['api://a/read']
      const result = await msal.acquireTokenSilent(session, { scopes, forceRefresh: kind === 2 })
      expect(entra.ownerOf(result.accessToken)?.homeAccountId).toBe(user.homeAccountId)
      expect(result.account?.homeAccountId).toBe(user.homeAccountId)
      return { user, result }
    })
    await Promise.all(calls)
    // Of each user's ten calls two are forced refreshes and four ask for a new scope.
    expect(entra.tokenRequests.refresh_token).toBeLessThanOrEqual(50 * 4)
    expect(entra.tokenRequests.refresh_token).toBeGreaterThanOrEqual(50 * 2)
  })
})

describe.each(['b2c', 'ciam', 'oidc'] as const)('discovery: %s', (flavour) => {
  test('once for 50 concurrent first uses, and never again for any flow', async () => {
    const { entra, msal, user, signIn } = host(flavour)
    await Promise.all(Array.from({ length: 50 }, () => msal.beginSignIn({ scopes: SCOPES, redirectUri })))
    expect(entra.discoveryRequests).toBe(1)
    const session = await signIn()
    await msal.acquireTokenSilent(session, { scopes: SCOPES })
    await msal.acquireTokenSilent(session, { scopes: SCOPES, forceRefresh: true })
    await msal.signOut(session, { postLogoutRedirectUri: 'https://app.example/' })
    await signIn(user)
    expect(entra.discoveryRequests).toBe(1)
  })

  test('again when it has aged, and kept when that fails', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const { entra, msal } = host(flavour)
    const url = async () => (await msal.beginSignIn({ scopes: SCOPES, redirectUri })).url
    const first = await url()
    const answer = entra.sendGetRequestAsync.bind(entra)
    entra.sendGetRequestAsync = async () => {
      entra.discoveryRequests++
      throw new Error('the provider is down')
    }
    vi.setSystemTime(Date.now() + DAY + 1)
    expect(new URL(await url()).pathname).toBe(new URL(first).pathname)
    await vi.waitFor(() => expect(entra.discoveryRequests).toBeGreaterThan(1))
    await new Promise(setImmediate)
    const failed = entra.discoveryRequests
    await url()
    expect(entra.discoveryRequests).toBe(failed)

    entra.sendGetRequestAsync = answer
    vi.setSystemTime(Date.now() + DAY)
    await url()
    await vi.waitFor(() => expect(entra.discoveryRequests).toBe(failed + 1))
    await new Promise(setImmediate)
    await url()
    expect(entra.discoveryRequests).toBe(failed + 1)
  })

  test('a first failure is the caller’s, and is not kept', async () => {
    const { entra, msal } = host(flavour)
    const url = async () => (await msal.beginSignIn({ scopes: SCOPES, redirectUri })).url
    const answer = entra.sendGetRequestAsync.bind(entra)
    entra.sendGetRequestAsync = async () => {
      throw new Error('down')
    }
    await expect(url()).rejects.toThrow()
    entra.sendGetRequestAsync = answer
    expect(await url()).toMatch(/authorize/)
  })
})

describe('the clouds of Entra ID', () => {
  test.each([
    ['https://login.microsoftonline.com/common'],
    ['https://login.microsoftonline.us/contoso.onmicrosoft.us'],
    ['https://login.partner.microsoftonline.cn/contoso'],
  ])('%s needs no discovery', async (authority) => {
    const entra = new EntraStandIn({ authority, size: 'small' })
    const msal = new ConfidentialClients(entra.configuration(), { store: new Keyv() })
    const url = new URL((await msal.beginSignIn({ scopes: SCOPES, redirectUri })).url)
    expect(url.host).toBe(new URL(authority).host)
    await entra.enter(msal, entra.user())
    // MSAL 3 has not built in the authority of China's cloud.
    const isUnknown = version.startsWith('3.') && authority.includes('.cn/')
    expect(entra.discoveryRequests).toBe(isUnknown ? 1 : 0)
  })
})

describe('credentials', () => {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })

  test.each([
    ['SHA-256', { thumbprintSha256: 'ab'.repeat(32) }],
    ['SHA-1', { thumbprint: 'ab'.repeat(20) }],
  ])('a certificate (%s) signs one assertion for many calls', async (_, thumbprint) => {
    const entra = new EntraStandIn({ size: 'small' })
    const { auth, system } = entra.configuration()
    const { clientSecret, ...rest } = auth
    const guids = vi.spyOn(CryptoProvider.prototype, 'createNewGuid')
    const configuration = { auth: { ...rest, clientCertificate: { ...thumbprint, privateKey } }, system }
    const msal = new ConfidentialClients(configuration as never, { store: new Keyv() })
    const seen = new Set<string | null>()
    entra.answers.authorization_code = ({ parameters }) => {
      seen.add(parameters.get('client_assertion'))
      return {}
    }
    const signIn = () => entra.enter(msal, entra.user())
    const { session } = await signIn()
    await signIn()
    await msal.acquireTokenSilent(session, { scopes: SCOPES })
    expect(seen.size).toBe(1)
    expect([...seen][0]?.split('.')).toHaveLength(3)
    guids.mockRestore()
  })

  test('an assertion, and a callback that makes one, are passed on', async () => {
    for (const clientAssertion of ['an.assertion.given', async () => 'an.assertion.made']) {
      const entra = new EntraStandIn({ size: 'small' })
      const { auth, system } = entra.configuration()
      const { clientSecret, ...rest } = auth
      const msal = new ConfidentialClients({ auth: { ...rest, clientAssertion }, system } as never, {
        store: new Keyv(),
      })
      let seen: string | null = null
      entra.answers.authorization_code = ({ parameters }) => {
        seen = parameters.get('client_assertion')
        return {}
      }
      await entra.enter(msal, entra.user())
      expect(seen).toMatch(/^an\.assertion\./)
    }
  })
})

describe('signing out', () => {
  const postLogoutRedirectUri = 'https://app.example/signed-out'

  test('evicts, and leads to the provider with what it needs', async () => {
    const { msal, user, signIn } = host()
    const session = await signIn()
    const url = await msal.signOut(session, { postLogoutRedirectUri, state: 's' })
    expect(url?.origin).toBe('https://login.microsoftonline.com')
    expect(url?.pathname).toMatch(/\/logout$/)
    expect(Object.fromEntries(url?.searchParams ?? [])).toMatchObject({
      client_id: CLIENT_ID,
      post_logout_redirect_uri: postLogoutRedirectUri,
      state: 's',
      id_token_hint: expect.any(String),
    })
    expect(await isStored(msal.plugin, user)).toBe(false)
  })

  test('a session from before an eviction does not end the sign-in after it', async () => {
    const { msal, user, signIn } = host()
    const old = await signIn()
    await msal.plugin.evictAccount(user.homeAccountId)
    const fresh = await signIn()
    const url = await msal.signOut(old, { postLogoutRedirectUri })
    expect(url?.searchParams.has('id_token_hint')).toBe(false)
    expect(await msal.plugin.isSignedIn(fresh)).toBe(true)
    await msal.signOut({ homeAccountId: user.homeAccountId }, { postLogoutRedirectUri })
    expect(await msal.plugin.isSignedIn(fresh)).toBe(false)
  })

  test('evicts also what this server cannot read, and when the provider is down', async () => {
    const entra = new EntraStandIn({ flavour: 'oidc', size: 'small' })
    const store = new Keyv()
    const make = (encryptionKeys = [generateEncryptionKey()]) =>
      new ConfidentialClients(entra.configuration(), { store, encryptionKeys })
    const [one, another] = [make(), make()]
    const user = entra.user()
    const signIn = () => entra.enter(one, user)
    const { session } = await signIn()
    await another.signOut(session, { postLogoutRedirectUri })
    expect(await isStored(one.plugin, user)).toBe(false)

    const again = await signIn()
    const cold = make()
    entra.sendGetRequestAsync = async () => {
      throw new Error('the provider is down')
    }
    await expect(cold.signOut(again.session, { postLogoutRedirectUri })).rejects.toThrow()
    expect(await isStored(one.plugin, user)).toBe(false)
  })

  test('says so when the store did not confirm, and evicts nothing for a URL that cannot be', async () => {
    const { msal, user, signIn, store } = host()
    const session = await signIn()
    await expect(msal.signOut(session, { postLogoutRedirectUri: 'nowhere' })).rejects.toThrow(
      /postLogoutRedirectUri/,
    )
    expect(await isStored(msal.plugin, user)).toBe(true)
    store.before('write', () => {
      throw new Error('down')
    })
    await expect(msal.signOut(session, { postLogoutRedirectUri })).rejects.toMatchObject({
      code: 'ERR_EVICTION',
    })
  })
})

describe('configuration', () => {
  const entra = new EntraStandIn({ size: 'small' })
  const store = new Keyv()

  test('a plugin of the host’s own is used', () => {
    const plugin = new KeyvCachePlugin({ store, clientId: CLIENT_ID })
    expect(new ConfidentialClients(entra.configuration(), { plugin }).plugin).toBe(plugin)
  })

  test.each([
    ['cachePlugin', () => entra.configuration(new KeyvCachePlugin({ store, clientId: 'c' })), { store }],
    ['clientId', () => ({ auth: {} }), { store }],
    [
      'clientId',
      () => entra.configuration(),
      { plugin: new KeyvCachePlugin({ store, clientId: 'another' }) },
    ],
    ['plugin', () => entra.configuration(), { plugin: {} }],
    ['store', () => entra.configuration(), {}],
    ['options', () => entra.configuration(), undefined],
    [
      'plugin',
      () => entra.configuration(),
      { plugin: new KeyvCachePlugin({ store, clientId: CLIENT_ID }), ttl: 1 },
    ],
    ['authority', () => entra.configuration(undefined, { auth: { authority: 'nowhere' } }), { store }],
  ] as [string, () => unknown, unknown][])('%s is named when it is wrong', (name, configuration, options) => {
    const make = () => new ConfidentialClients(configuration() as never, options as never)
    expect(make).toThrow(ConfigurationError)
    expect(make).toThrow(name)
  })
})
