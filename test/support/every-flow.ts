import { randomUUID } from 'node:crypto'
import type { AuthenticationResult } from '@azure/msal-node'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import * as library from '../../src/index.ts'
import { CLIENT_ID, EntraStandIn, SCOPES, TENANT_ID, type User } from './entra.ts'

const ISSUER = 'https://login.microsoftonline.com/{tenantid}/v2.0'
const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout'
const APP_SCOPES = ['https://graph.microsoft.com/.default']

const providerKeys = generateKeyPair('RS256')

/** The kinds of record that a run of every flow leaves. */
export const KINDS = ['_p', '_g', '_i', '_a', '_o', '_l', '_s', '_u', '_n', '_d', '_j'] as const
export type Kind = (typeof KINDS)[number]

export function kindOf(key: string): Kind | undefined {
  return KINDS.find((kind) => key.endsWith(`}${kind}`))
}

export interface EveryFlow {
  readonly entra: EntraStandIn
  readonly msal: library.ConfidentialClients
  readonly logout: library.LogoutHandler
  /** Signed in, with tokens of every kind. */
  readonly ada: User
  readonly session: library.HostSession
  /** Signed in without a refresh token. */
  readonly brief: User
  /** Evicted: the first by hand, the second by a logout token. */
  readonly evicted: readonly User[]
  /** What ada's tokens on behalf of, and her long-running process, are found by. */
  readonly assertion: string
  readonly sessionKey: string
  readonly logoutToken: string
  /** A token of each of the flows that go on after this. */
  readonly useAll: () => Promise<Result[]>
}

export type Result = { flow: string; result?: AuthenticationResult; error?: unknown }

/** Takes a host through every flow that writes, over a store that it finds empty, and leaves a record of each kind. */
export async function runEveryFlow(
  store: library.KeyvLike,
  options: Omit<Partial<library.KeyvCachePluginOptions>, 'store' | 'clientId'> = {},
  size: 'realistic' | 'small' = 'realistic',
  { ConfidentialClients, LogoutHandler }: typeof library = library,
): Promise<EveryFlow> {
  const entra = new EntraStandIn({ size })
  const msal = new ConfidentialClients(entra.configuration(), { ...options, store })
  const provider = await providerKeys
  const jwk = { ...(await exportJWK(provider.publicKey)), kid: 'provider', alg: 'RS256' }
  const logout = new LogoutHandler(msal, { issuer: ISSUER, jwks: { keys: [jwk] } })
  const person = (name: string, sid?: string | null) => entra.user({ name, ...(sid === null ? { sid } : {}) })
  const signIn = (user: User, sessionState?: string) => entra.enter(msal, user, { sessionState })

  const ada = person('Ada Lovelace')
  const { session } = await signIn(ada)
  await msal.acquireTokenSilent(session, { scopes: SCOPES })
  await msal.acquireTokenSilent(session, { scopes: SCOPES, forceRefresh: true })
  await msal.acquireTokenSilent(session, { scopes: ['api://a/read'] })
  await signIn(person('Grace Hopper', null), 'the session of Grace')

  entra.answers.authorization_code = { omit: ['refresh_token'] }
  const brief = person('Edsger Dijkstra', null)
  const result = await entra.signIn(entra.client(msal.plugin), brief)
  await msal.plugin.openSession(result, { sessionState: 'the session of Edsger' })
  entra.answers.authorization_code = {}

  const assertion = entra.assertion(ada)
  await msal.acquireTokenOnBehalfOf({ oboAssertion: assertion, scopes: SCOPES })
  await msal.acquireTokenByClientCredential({ tenantId: TENANT_ID, scopes: APP_SCOPES })
  const sessionKey = randomUUID()
  const oboAssertion = entra.assertion(ada)
  await msal.acquireTokenInLongRunningProcess(sessionKey, { scopes: SCOPES, oboAssertion })
  await msal.acquireTokenInLongRunningProcess(sessionKey, { scopes: SCOPES, forceRefresh: true })

  const byHand = person('Alan Turing')
  await signIn(byHand)
  await msal.plugin.evictAccount(byHand.homeAccountId)
  const byProvider = person('Barbara Liskov')
  await signIn(byProvider)
  const logoutToken = await new SignJWT({ sid: byProvider.sid, events: { [LOGOUT_EVENT]: {} } })
    .setProtectedHeader({ alg: 'RS256', kid: 'provider', typ: 'logout+jwt' })
    .setIssuer(entra.issuerFor(byProvider.tid))
    .setAudience(CLIENT_ID)
    .setSubject(byProvider.sub)
    .setJti(randomUUID())
    .setIssuedAt()
    .setExpirationTime('2 minutes')
    .sign(provider.privateKey)
  const outcome = await logout.handle(callback(logoutToken))
  if (outcome.result !== 'evicted') throw new Error(`the logout token evicted nobody: ${outcome.result}`)

  const flows = {
    silent: () => msal.acquireTokenSilent({ homeAccountId: ada.homeAccountId }, { scopes: SCOPES }),
    'silent, without a refresh token': () =>
      msal.acquireTokenSilent({ homeAccountId: brief.homeAccountId }, { scopes: SCOPES }),
    'on behalf of': () => msal.acquireTokenOnBehalfOf({ oboAssertion: assertion, scopes: SCOPES }),
    'long-running process': () => msal.acquireTokenInLongRunningProcess(sessionKey, { scopes: SCOPES }),
    app: () => msal.acquireTokenByClientCredential({ tenantId: TENANT_ID, scopes: APP_SCOPES }),
  }
  const useAll = () =>
    Promise.all(
      Object.entries(flows).map(([flow, use]) =>
        use().then(
          (result) => ({ flow, result }),
          (error: unknown) => ({ flow, error }),
        ),
      ),
    )
  const evicted = [byHand, byProvider]
  return { entra, msal, logout, ada, session, brief, evicted, assertion, sessionKey, logoutToken, useAll }
}

/** A logout token as a provider sends it. */
export function callback(logoutToken: string): Request {
  const body = new URLSearchParams({ logout_token: logoutToken })
  return new Request('https://app.example/logout-callback', { method: 'POST', body })
}
