/** msal-keyv. */
import { randomUUID } from 'node:crypto'
import type {
  CallbackRequest,
  ConfidentialClients,
  ConfidentialClientsOptions,
  HostSession,
  LogoutHandler,
  PendingSignIn,
} from '../../../src/index.ts'
import { claims, sign } from '../../../test/logout/provider.ts'
import { CLIENT_ID, SCOPES, TENANT_ID, type User } from '../../../test/support/entra.ts'
import { acquireSilently, type Contender, expectHit, type Parts, REDIRECT_URI } from './contender.ts'

/** A client of the host's own for each request. */
export function pluginAlone({ library, entra, store, name, encryptionKeys }: Parts): Contender {
  const options = { store: store.keyv, clientId: CLIENT_ID, namespace: name, encryptionKeys }
  const plugin = new library.KeyvCachePlugin(options)
  const sessions = new Map<string, HostSession>()
  const clientFor = ({ homeAccountId }: User) =>
    entra.client(plugin.forAccount(sessions.get(homeAccountId) ?? { homeAccountId }))
  return {
    hit: (user) => () => expectHit(acquireSilently(clientFor(user), user), user),
    refresh: (user) => () => acquireSilently(clientFor(user), user, { forceRefresh: true }),
    'sign-in': (user) => async () => {
      const result = await entra.signIn(entra.client(plugin), user)
      sessions.set(user.homeAccountId, await plugin.openSession(result))
    },
    eviction: (user) => () => plugin.evictAccount(user.homeAccountId),
  }
}

/** As most hosts use it. */
export function clients(parts: Parts): Contender {
  return confidentialClients(parts, {})
}

/** It remembers one answer, so that with accounts in turn every hit is the first of its account. */
export function firstHits(parts: Parts): Contender {
  return confidentialClients(parts, { rememberedAnswers: { entries: 1 } })
}

/** What a host keeps of a sign-in that has begun. */
const PENDING: PendingSignIn = {
  state: 'state',
  nonce: 'nonce',
  codeVerifier: 'verifier',
  request: { scopes: SCOPES, redirectUri: REDIRECT_URI },
}

function confidentialClients(
  parts: Parts,
  remembered: Pick<ConfidentialClientsOptions, 'rememberedAnswers'>,
): Contender {
  const { library, entra, store, name, encryptionKeys } = parts
  const options = { store: store.keyv, namespace: name, encryptionKeys, ...remembered }
  const msal = new library.ConfidentialClients(entra.configuration(), options)
  const sessions = new Map<string, HostSession>()
  const sessionOf = ({ homeAccountId }: User) => sessions.get(homeAccountId) ?? { homeAccountId }
  return {
    hit: (user) => () => expectHit(msal.acquireTokenSilent(sessionOf(user), { scopes: SCOPES }), user),
    refresh: (user) => () => msal.acquireTokenSilent(sessionOf(user), { scopes: SCOPES, forceRefresh: true }),
    'sign-in': (user) => {
      const { nonce } = PENDING
      const response = { code: entra.code(user, { nonce }), state: PENDING.state }
      return async () => {
        const { session } = await msal.completeSignIn(PENDING, response)
        sessions.set(user.homeAccountId, session)
      }
    },
    eviction: (user) => () => msal.plugin.evictAccount(user.homeAccountId),
    ...logoutCallbacks(parts, msal),
  }
}

function logoutCallbacks({ library, entra, signingKey }: Parts, msal: ConfidentialClients) {
  const issuer = entra.issuerFor(TENANT_ID)
  let handler: LogoutHandler | undefined
  const handle = async (request: CallbackRequest) => {
    const outcome = await handler?.handle(request)
    if (outcome?.result !== 'evicted') throw new Error(`the logout callback ended in ${outcome?.result}`)
  }
  return {
    'front-channel': async ({ sid }: User) => {
      handler ??= new library.LogoutHandler(msal, { issuer })
      const query = new URLSearchParams({ sid: sid ?? '' })
      return () => handle({ method: 'GET', url: `/logout-callback?${query}` })
    },
    'back-channel': async ({ sid, sub }: User) => {
      const key = await signingKey()
      handler ??= new library.LogoutHandler(msal, { issuer, jwks: { keys: [key.jwk] } })
      const now = Math.floor(Date.now() / 1000)
      const own = { iss: issuer, aud: CLIENT_ID, sub, sid, jti: randomUUID(), iat: now, exp: now + 120 }
      const body = new URLSearchParams({ logout_token: await sign(key, claims(own)) }).toString()
      const headers = { 'content-type': 'application/x-www-form-urlencoded' }
      return () => handle({ method: 'POST', url: '/logout-callback', headers, body })
    },
  }
}
