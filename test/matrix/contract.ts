import assert from 'node:assert/strict'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import type * as Library from '../../src/index.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn, SCOPES, TENANT_ID, type User } from '../support/entra.ts'
import { isStored } from '../support/stored.ts'

type Options = Omit<Library.KeyvCachePluginOptions, 'store' | 'clientId'>

/** What a scenario needs: the library, as it was imported, and two connections to one store. */
export interface Parts {
  readonly library: typeof Library
  readonly here: Library.KeyvLike
  /** As another process has it. */
  readonly elsewhere: Library.KeyvLike
}

/** A promise as a plain function, which throws where it is broken: it runs on any runtime, without a test runner. */
export interface Scenario {
  readonly name: string
  run(parts: Parts): Promise<void>
}

const ISSUER = 'https://login.microsoftonline.com/{tenantid}/v2.0'
const SIGN_IN_AGAIN = { errorCode: 'no_tokens_found' }

export const scenarios: readonly Scenario[] = [
  {
    name: 'sign-in, then a token from the cache',
    async run(parts) {
      const { entra, signIn, silent } = host(parts)
      const session = await signIn()
      assert.equal((await silent(session)).fromCache, true)
      assert.equal(entra.tokenRequests.refresh_token, 0)
    },
  },
  {
    name: 'a refresh is stored, and seen by another process',
    async run(parts) {
      const { signIn, silent, other } = host(parts)
      const session = await signIn()
      const refreshed = await silent(session, { forceRefresh: true })
      assert.equal(refreshed.fromCache, false)
      const found = await silent(session, {}, other)
      assert.equal(found.fromCache, true)
      assert.equal(found.accessToken, refreshed.accessToken)
    },
  },
  {
    name: '20 sign-ins at once on one client are 20 records, each of one account',
    async run(parts) {
      const { entra, plugin, store } = host(parts)
      const users = Array.from({ length: 20 }, () => entra.user())
      const client = entra.client(plugin)
      await Promise.all(users.map((user) => entra.signIn(client, user)))
      const owners = (await store.records()).map((text) =>
        entra.tokensIn(text).map(({ homeAccountId }) => homeAccountId),
      )
      const withTokens = owners.filter(({ length }) => length > 0)
      assert.equal(withTokens.length, users.length)
      for (const [owner, ...others] of withTokens)
        assert.deepEqual(
          others,
          others.map(() => owner),
        )
    },
  },
  {
    name: 'an eviction ends the sign-in in every process and leaves no token',
    async run(parts) {
      const { entra, plugin, other, user, store, signIn, silent } = host(parts)
      const session = await signIn()
      assert.equal((await plugin.evictAccount(user.homeAccountId)).existed, true)
      for (const by of [plugin, other]) {
        await assert.rejects(silent(session, {}, by), SIGN_IN_AGAIN)
        assert.equal(await by.isSignedIn(session), false)
      }
      assert.deepEqual(entra.tokensIn((await store.records()).join()), [])
    },
  },
  {
    name: 'an eviction holds against a refresh in flight',
    async run(parts) {
      const { entra, other, user, store, signIn, silent } = host(parts)
      const session = await signIn()
      const held = entra.hold(({ grant }) => grant === 'refresh_token')
      const refresh = silent(session, { forceRefresh: true })
      await held.arrived
      await other.evictAccount(user.homeAccountId)
      held.release()
      assert.notEqual((await refresh).accessToken, '')
      await assert.rejects(silent(session), SIGN_IN_AGAIN)
      assert.deepEqual(entra.tokensIn((await store.records()).join()), [])
    },
  },
  {
    name: 'an eviction holds against a write that is late',
    async run(parts) {
      const { other, user, store, signIn, silent } = host(parts)
      const session = await signIn()
      const held = store.holdWrite()
      const refresh = silent(session, { forceRefresh: true })
      await held.arrived
      await other.evictAccount(user.homeAccountId)
      held.release()
      await refresh
      await assert.rejects(silent(session), SIGN_IN_AGAIN)
      assert.equal(await isStored(other, user.homeAccountId), false)
    },
  },
  {
    name: 'a new sign-in works at once, and a refresh from before it does not get in',
    async run(parts) {
      const { entra, other, user, store, signIn, silent } = host(parts)
      const session = await signIn()
      const held = entra.hold(({ grant }) => grant === 'refresh_token')
      const refresh = silent(session, { forceRefresh: true })
      const { chain } = await held.arrived
      await other.evictAccount(user.homeAccountId)
      const fresh = await signIn()
      held.release()
      await refresh
      assert.equal((await silent(fresh, {}, other)).fromCache, true)
      await assert.rejects(silent(session), SIGN_IN_AGAIN)
      const chains = entra.tokensIn((await store.records()).join()).map((token) => token.chain)
      assert.equal(chains.includes(chain), false)
    },
  },
  {
    name: 'a front-channel logout callback evicts, as a path and as a web Request',
    async run(parts) {
      const { entra, plugin, signIn } = host(parts)
      const handler = new parts.library.LogoutHandler(plugin, { issuer: ISSUER })
      for (const asRequest of [false, true]) {
        const user = entra.user()
        const session = await signIn(user)
        const query = new URLSearchParams({ iss: entra.issuerFor(user.tid), sid: user.sid ?? '' })
        const url = `/logout-callback?${query}`
        const request = asRequest ? new Request(`https://app.example${url}`) : { method: 'GET', url }
        const outcome = await handler.handle(request)
        assert.equal(outcome.status, 200)
        assert.equal(await plugin.isSignedIn(session), false)
      }
    },
  },
  {
    name: 'a back-channel logout token is verified, and evicts',
    async run(parts) {
      const { entra, plugin, user, signIn } = host(parts)
      const keys = await generateKeyPair('RS256')
      const jwks = { keys: [{ ...(await exportJWK(keys.publicKey)), kid: '1', alg: 'RS256' }] }
      const handler = new parts.library.LogoutHandler(plugin, { issuer: ISSUER, jwks })
      const session = await signIn()
      const post = async (signer: typeof keys) =>
        handler.handle({
          method: 'POST',
          url: '/logout-callback',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: `logout_token=${await logoutToken(signer.privateKey, entra.issuerFor(user.tid), user)}`,
        })
      assert.equal((await post(await generateKeyPair('RS256'))).status, 400)
      assert.equal(await plugin.isSignedIn(session), true)
      assert.equal((await post(keys)).status, 200)
      assert.equal(await plugin.isSignedIn(session), false)
    },
  },
  {
    name: 'sealed records show nothing, and open with their key only',
    async run(parts) {
      const [key, another] = [parts.library.generateEncryptionKey(), parts.library.generateEncryptionKey()]
      const { entra, user, store, signIn, silent } = host(parts, { encryptionKeys: [key] })
      const session = await signIn()
      const text = (await store.records()).join()
      assert.deepEqual(entra.tokensIn(text), [])
      assert.equal(text.includes(user.homeAccountId) || text.includes(user.username), false)
      assert.equal((await silent(session)).fromCache, true)
      const stranger = host(parts, { encryptionKeys: [another] })
      await assert.rejects(stranger.silent(session), SIGN_IN_AGAIN)
    },
  },
  {
    name: 'ConfidentialClients: silent, on behalf of, app token, sign-out',
    async run({ library, here }) {
      const entra = new EntraStandIn()
      const user = entra.user()
      const msal = new library.ConfidentialClients(entra.configuration(), { store: here })
      const session = await msal.plugin.openSession(await entra.signIn(await msal.clientForSignIn(), user))
      assert.equal((await msal.acquireTokenSilent(session, { scopes: SCOPES })).fromCache, true)
      const oboAssertion = entra.assertion(user)
      for (const fromCache of [false, true]) {
        const result = await msal.acquireTokenOnBehalfOf({ oboAssertion, scopes: SCOPES })
        assert.equal(result.fromCache, fromCache)
        const app = { tenantId: TENANT_ID, scopes: ['https://graph.microsoft.com/.default'] }
        assert.equal((await msal.acquireTokenByClientCredential(app)).fromCache, fromCache)
      }
      const url = await msal.signOut(session, { postLogoutRedirectUri: 'https://app.example/' })
      assert.match(`${url?.href}`, /\/logout\?/)
      assert.equal(await msal.plugin.isSignedIn(session), false)
    },
  },
]

/** A host with one user, over a store that remembers what was written to it. */
function host({ library, here, elsewhere }: Parts, options: Options = {}) {
  const entra = new EntraStandIn()
  const store = watch(here)
  const plugin = new library.KeyvCachePlugin({ ...options, store: store.keyv, clientId: CLIENT_ID })
  const other = new library.KeyvCachePlugin({ ...options, store: elsewhere, clientId: CLIENT_ID })
  const user = entra.user({ uid: crypto.randomUUID() })
  return {
    entra,
    store,
    plugin,
    other,
    user,
    signIn: async (of: User = user) => plugin.openSession(await entra.signIn(entra.client(plugin), of)),
    silent: (session: Library.HostSession, request: { forceRefresh?: boolean } = {}, by = plugin) =>
      acquireSilently(entra.client(by.forAccount(session)), session.homeAccountId, request),
  }
}

/** A store that knows its keys, so that all that was written can be looked at, and whose writes can be held back. */
function watch(keyv: Library.KeyvLike) {
  const keys = new Set<string>()
  let held: { arrive(): void; released: Promise<void> } | undefined
  const watched = new Proxy(keyv, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target)
      if (typeof value !== 'function') return value
      if (property !== 'set' && property !== 'setMany') return value.bind(target)
      return async (...parameters: unknown[]) => {
        const [first] = parameters
        const written = Array.isArray(first) ? first.map(({ key }) => key) : [first]
        for (const key of written) keys.add(key)
        const hold = held
        held = undefined
        hold?.arrive()
        await hold?.released
        return Reflect.apply(value, target, parameters)
      }
    },
  })
  return {
    keyv: watched,
    /** Holds back the next write. */
    holdWrite() {
      const arrived = Promise.withResolvers<void>()
      const released = Promise.withResolvers<void>()
      held = { arrive: arrived.resolve, released: released.promise }
      return { arrived: arrived.promise, release: released.resolve }
    },
    /** All that is stored now of what was written here, as text. */
    records: async () => {
      const values = await Promise.all([...keys].map((key) => keyv.getRaw(key)))
      return values.filter((value) => value !== undefined && value !== null).map(textOf)
    },
  }
}

/** A record has line breaks and quotation marks, which JSON would escape. */
function textOf(raw: unknown): string {
  const { value } = raw as { value?: unknown }
  return typeof value === 'string' ? value : JSON.stringify(raw)
}

function logoutToken(
  key: Awaited<ReturnType<typeof generateKeyPair>>['privateKey'],
  issuer: string,
  user: User,
) {
  return new SignJWT({ sid: user.sid, events: { 'http://schemas.openid.net/event/backchannel-logout': {} } })
    .setProtectedHeader({ alg: 'RS256', kid: '1', typ: 'logout+jwt' })
    .setIssuer(issuer)
    .setAudience(CLIENT_ID)
    .setSubject(user.sub)
    .setIssuedAt()
    .setExpirationTime('2 minutes')
    .setJti(crypto.randomUUID())
    .sign(key)
}
