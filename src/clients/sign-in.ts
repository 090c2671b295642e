import type {
  AuthenticationResult,
  AuthorizationCodeRequest,
  ConfidentialClientApplication,
} from '@azure/msal-node'
import type { BegunSession } from '../accounts/accounts.ts'
import type { HostSession } from '../accounts/identity.ts'
import type { Core } from '../core.ts'
import { AuthorizationResponseError, ConfigurationError } from '../errors.ts'
import { sessionIdOf } from '../msal/schema.ts'
import { type AuthorizationResponse, readAuthorizationResponse } from './authorization-response.ts'
import type { ClientFactory } from './client-factory.ts'
import { type PendingSignIn, resumeSignIn } from './pending-sign-in.ts'
import type { CodeRequest } from './requests.ts'

/** An authorization code that may be redeemed: its response was checked, or checking is the host's. */
export interface Redemption {
  readonly request: AuthorizationCodeRequest
  readonly sessionState: string | undefined
}

/**
 * @param begun what `beginSignIn` left pending, or MSAL's request of a host that makes its own
 * @throws {AuthorizationResponseError} when nothing is pending, or the response is no code for it
 * @throws {ConfigurationError} when `begun` can be neither, or there is no state to check or no code to redeem
 */
export function redemptionOf(
  begun: PendingSignIn | CodeRequest | null | undefined,
  response: AuthorizationResponse | null | undefined,
): Redemption {
  if (begun === undefined || begun === null) throw new AuthorizationResponseError('no_pending_sign_in')
  const isOwnRequest = typeof begun === 'object' && !('request' in begun)
  const { state, ...request } = isOwnRequest ? begun : resumeSignIn(begun)
  const answer = isOwnRequest && !response ? undefined : readAuthorizationResponse(response, state)
  const code = answer?.code ?? request.code
  if (!code) throw new ConfigurationError('code is missing: pass it, or the authorization response')
  return { request: { ...request, code }, sessionState: answer?.sessionState }
}

/** A sign-in that is complete: what the host keeps in its session, and MSAL's result with the tokens. */
export interface SignedIn {
  session: HostSession
  result: AuthenticationResult
}

/** Redeems the code, stores what it brings, and opens the host's session. */
export async function signIn(
  core: Core,
  clients: ClientFactory,
  { request, sessionState }: Redemption,
): Promise<SignedIn> {
  const stored = new Map<string, BegunSession>()
  const plugin = core.forSignIn({
    sessionState,
    signedIn: (account, begun) => stored.set(account, begun),
  })
  const result = await redeem(await clients.client(plugin, request.authority), request)
  const homeAccountId = result.account?.homeAccountId ?? ''
  const begun = stored.get(homeAccountId)
  if (begun === undefined) {
    throw new ConfigurationError(
      'the provider returned nothing to store: ask for a scope, and for an ID token',
    )
  }
  const sid = sessionIdOf(result.idTokenClaims, sessionState)
  const session = core.openedSession({ ...begun, homeAccountId, sid })
  return { session, result }
}

/** @throws {AuthorizationResponseError} when the ID token's nonce is not the request's */
async function redeem(
  client: ConfidentialClientApplication,
  request: AuthorizationCodeRequest,
): Promise<AuthenticationResult> {
  const { code, nonce } = request
  // MSAL 3 looks for the nonce in the second argument, and later majors in the first.
  const payload = { code, ...(nonce === undefined ? {} : { nonce }) }
  const result = await client.acquireTokenByCode(request, payload).catch((error: { errorCode?: unknown }) => {
    throw error.errorCode === 'nonce_mismatch' ? new AuthorizationResponseError(error.errorCode) : error
  })
  const { nonce: answered } = (result.idTokenClaims ?? {}) as { nonce?: unknown }
  // MSAL 3 and 5 look for none where there is no ID token.
  if (nonce !== undefined && answered !== nonce) throw new AuthorizationResponseError('nonce_mismatch')
  return result
}
