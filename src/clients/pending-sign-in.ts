import { createHash, randomBytes } from 'node:crypto'
import type { AuthorizationUrlRequest } from '@azure/msal-node'
import { ConfigurationError } from '../errors.ts'
import { isObject, isString, isText } from '../guards.ts'
import type { CodeRequest } from './requests.ts'

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

/**
 * What a session handed back, as MSAL's request to redeem the code.
 * @throws {ConfigurationError} when it is not what `beginSignIn` returned
 */
export function resumeSignIn(pending: unknown): CodeRequest & { state: string } {
  if (!isPendingSignIn(pending)) {
    throw new ConfigurationError(
      'pending is not what beginSignIn returned: keep it in the session as it is, and pass it on as it comes back',
    )
  }
  const { state, nonce, codeVerifier, request } = pending
  const { scopes, redirectUri } = request
  return { state, nonce, codeVerifier, scopes, redirectUri, ...pick(request, REPEATED) }
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
        `${name} must be left out: beginSignIn makes it. To make your own, use getAuthCodeUrl`,
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
