import { createHash, randomBytes } from 'node:crypto'
import type {
  AuthenticationResult,
  AuthorizationCodeRequest,
  AuthorizationUrlRequest,
  ConfidentialClientApplication,
} from '@azure/msal-node'
import type { BegunSession } from '../accounts/accounts.ts'
import type { HostSession } from '../accounts/identity.ts'
import { commonIssuer } from '../accounts/origin.ts'
import { AuthorizationResponseError, ConfigurationError, withStatus } from '../errors.ts'
import { isObject, isString, isText } from '../guards.ts'
import type { Backing } from '../kinds/cache-plugin.ts'
import { SignInPlugin } from '../kinds/sign-in.ts'
import { hostSession } from '../kinds/store-sign-in.ts'
import { realmName } from '../msal/authority.ts'
import { sessionIdOf } from '../msal/schema.ts'
import type { ClientFactory } from './client-factory.ts'

/** What `beginSignIn` makes itself, so that nobody has to. */
const MADE_HERE = ['state', 'nonce', 'codeChallenge', 'codeChallengeMethod'] as const

type AcceptsUndefined<Members> = { [Name in keyof Members]: Members[Name] | undefined }

/**
 * MSAL's authorization request (`prompt`, `loginHint`, `domainHint`, `claims`, `authority`, `extraQueryParameters`, …)
 * without what `beginSignIn` makes itself: `state`, `nonce` and the PKCE challenge.
 */
export type SignInRequest = AcceptsUndefined<
  Omit<
    AuthorizationUrlRequest,
    (typeof MADE_HERE)[number] | 'azureCloudOptions' | 'responseMode' | 'scopes' | 'redirectUri'
  >
> & {
  /** MSAL adds `openid`, `profile` and `offline_access`. */
  scopes: string[]
  /** Where the provider sends the browser back to; registered there exactly like this. */
  redirectUri: string
  /**
   * `'query'` (default) or `'form_post'`: the provider's page then posts the response from another site, so that the
   * cookie of the host's session must be `SameSite=None; Secure`.
   */
  responseMode?: 'query' | 'form_post' | undefined
}

/**
 * A sign-in that has begun and waits for its authorization response: plain JSON of at most 2,048 characters for the
 * host's session. It holds no secret of the application; anyone who can forge it can finish a sign-in that this browser
 * did not begin, so it belongs on the server or in a cookie that is signed.
 */
export interface PendingSignIn {
  /** Comes back in the authorization response, and ties it to this browser (RFC 6749 §10.12). */
  state: string
  /** Comes back in the ID token (OpenID Connect Core 1.0 §3.1.2.1). */
  nonce: string
  /** Proves to the provider that who redeems the code has asked for it (RFC 7636). */
  codeVerifier: string
  /** What of the authorization request the redemption of the code repeats. */
  request: {
    scopes: string[]
    redirectUri: string
    authority?: string | undefined
    claims?: string | undefined
    resource?: string | undefined
  }
}

/** Of `pending` as JSON. A cookie has 4,096 bytes, and what seals one takes a third. */
const LONGEST_PENDING = 2048
const REPEATED = ['authority', 'claims', 'resource'] as const

/**
 * The authorization request with a state, a nonce and a PKCE challenge of its own, and what its response is checked
 * against later.
 * @throws {ConfigurationError} naming the member of the request that cannot work
 */
export function beginSignIn(request: SignInRequest): {
  authorizationRequest: AuthorizationUrlRequest
  pending: PendingSignIn
} {
  checkRequest(request)
  const [state, nonce, codeVerifier] = [random(16), random(16), random(32)]
  const { scopes, redirectUri } = request
  const pending: PendingSignIn = {
    state,
    nonce,
    codeVerifier,
    request: { scopes: [...scopes], redirectUri, ...pick(request, REPEATED) },
  }
  if (JSON.stringify(pending).length > LONGEST_PENDING) {
    throw new ConfigurationError(
      `the pending sign-in would have more than ${LONGEST_PENDING} characters: ask for fewer scopes or claims`,
    )
  }
  const authorizationRequest = {
    ...pick(request, Object.keys(request) as (keyof SignInRequest)[]),
    state,
    nonce,
    codeChallenge: createHash('sha256').update(codeVerifier).digest('base64url'),
    codeChallengeMethod: 'S256',
  } as AuthorizationUrlRequest
  return { authorizationRequest, pending }
}

function isPendingSignIn(value: unknown): value is PendingSignIn {
  if (!isObject(value) || !isObject(value.request)) return false
  const { state, nonce, codeVerifier, request } = value
  return (
    [state, nonce, codeVerifier, request.redirectUri].every(isText) &&
    isListOfStrings(request.scopes) &&
    REPEATED.every((name) => request[name] === undefined || isText(request[name]))
  )
}

function checkRequest(request: unknown): void {
  if (!isObject(request)) throw new ConfigurationError('request must be an object')
  for (const name of MADE_HERE) {
    if (request[name] !== undefined) {
      throw new ConfigurationError(
        `${name} must be left out: beginSignIn makes it. To make your own, use the MSAL client of clientForSignIn()`,
      )
    }
  }
  if (request.azureCloudOptions !== undefined) {
    throw new ConfigurationError('azureCloudOptions must be left out: authority says which cloud')
  }
  const { scopes, redirectUri, authority, responseMode = 'query' } = request
  if (!isListOfStrings(scopes)) throw new ConfigurationError('scopes must be an array of strings')
  if (!isText(redirectUri) || !URL.canParse(redirectUri)) {
    throw new ConfigurationError('redirectUri must be an absolute URL, exactly as it is registered')
  }
  if (authority !== undefined && (!isText(authority) || !URL.canParse(authority))) {
    throw new ConfigurationError('authority must be a URL')
  }
  if (responseMode !== 'query' && responseMode !== 'form_post') {
    throw new ConfigurationError("responseMode must be 'query' or 'form_post': nothing else reaches a server")
  }
}

/**
 * The authorization response (RFC 6749 §4.1.2) as a web framework parsed it: the query of the redirect URI, or the
 * body of a `form_post`.
 */
export type AuthorizationResponse = URLSearchParams | Readonly<Record<string, unknown>>

/** A sign-in that is complete: what the host keeps in its session, and MSAL's result with the tokens. */
export interface SignedIn {
  session: HostSession
  result: AuthenticationResult
}

/** An authorization code that may be redeemed, since its response was checked. */
interface Redemption {
  readonly request: AuthorizationCodeRequest & { nonce: string }
  readonly sessionState: string | undefined
  /** Who has answered, if it says so (RFC 9207). */
  readonly issuer: string | undefined
}

/** Redeems the code, stores what it brings, and opens the host's session. */
export async function completeSignIn(
  backing: Backing,
  clients: ClientFactory,
  pending: PendingSignIn | null | undefined,
  response: AuthorizationResponse | null | undefined,
): Promise<SignedIn> {
  const { request, sessionState, issuer } = redemptionOf(pending, response)
  const authority = await clients.describe(request.authority ?? clients.configured)
  if (issuer !== undefined && commonIssuer(issuer) !== authority.issuer) {
    throw new AuthorizationResponseError('issuer_mismatch')
  }
  const stored = new Map<string, BegunSession>()
  const plugin = new SignInPlugin(backing, {
    sessionState,
    nonce: request.nonce,
    signedIn: (account, begun) => stored.set(account, begun),
  })
  plugin.asks(authority)
  const result = await redeem(await clients.client(plugin, request.authority), request)
  const homeAccountId = result.account?.homeAccountId ?? ''
  const begun = stored.get(homeAccountId)
  if (begun === undefined) {
    throw new ConfigurationError(
      'the provider returned nothing to store: ask for a scope, and for an ID token',
    )
  }
  const sid = sessionIdOf(result.idTokenClaims, sessionState)
  const tenantId = realmName(result.idTokenClaims ?? {}) || undefined
  const session = hostSession(backing.accounts, { ...begun, homeAccountId, sid, tenantId })
  return { session, result }
}

/**
 * @throws {AuthorizationResponseError} when nothing is pending, or the response is no code for it
 * @throws {ConfigurationError} when `pending` is not what `beginSignIn` returned
 */
export function redemptionOf(
  pending: PendingSignIn | null | undefined,
  response: AuthorizationResponse | null | undefined,
): Redemption {
  if (pending === undefined || pending === null) throw new AuthorizationResponseError('no_pending_sign_in')
  if (!isPendingSignIn(pending)) {
    throw new ConfigurationError(
      'pending is not what beginSignIn returned: keep it in the session as it is, and pass it on as it comes back',
    )
  }
  const { state, nonce, codeVerifier, request } = pending
  // First of all: until this is right, the rest is anybody's.
  if (parameter(response, 'state') !== state) throw new AuthorizationResponseError('state_mismatch')
  const error = parameter(response, 'error')
  if (error !== undefined) throw new AuthorizationResponseError(error)
  const code = parameter(response, 'code')
  if (code === undefined) throw new AuthorizationResponseError('code_missing')
  const { scopes, redirectUri } = request
  return {
    request: { code, nonce, codeVerifier, scopes, redirectUri, ...pick(request, REPEATED) },
    sessionState: parameter(response, 'session_state'),
    issuer: parameter(response, 'iss'),
  }
}

/** @throws {AuthorizationResponseError} when the ID token's nonce is not the request's */
async function redeem(
  client: ConfidentialClientApplication,
  request: Redemption['request'],
): Promise<AuthenticationResult> {
  const { code, nonce } = request
  // MSAL 3 looks for the nonce in the second argument, and later majors in the first.
  return client.acquireTokenByCode(request, { code, nonce }).catch((error: { errorCode?: unknown }) => {
    throw error.errorCode === 'nonce_mismatch'
      ? new AuthorizationResponseError(error.errorCode)
      : withStatus(error)
  })
}

/** RFC 6749 §3.1: a parameter stands once, and without a value it counts as left out. */
function parameter(response: AuthorizationResponse | null | undefined, name: string): string | undefined {
  const values: unknown[] =
    response instanceof URLSearchParams ? response.getAll(name) : [response?.[name]].flat()
  const [value, ...more] = values.filter((each) => each !== undefined && each !== '')
  if (more.length > 0) throw new AuthorizationResponseError('invalid_response')
  if (value === undefined) return undefined
  if (typeof value !== 'string') throw new AuthorizationResponseError('invalid_response')
  return value
}

/** These members, where they have a value. */
function pick<Value extends object, Name extends keyof Value>(
  value: Value,
  names: readonly Name[],
): { [Each in Name]?: NonNullable<Value[Each]> } {
  const entries = names.map((name) => [name, value[name]] as const)
  return Object.fromEntries(entries.filter(([, member]) => member !== undefined)) as never
}

function isListOfStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isString)
}

function random(bytes: number): string {
  return randomBytes(bytes).toString('base64url')
}
