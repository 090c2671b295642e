import { AuthorizationResponseError, ConfigurationError } from '../errors.ts'

/**
 * The authorization response (RFC 6749 §4.1.2) as a web framework parsed it: the query of the redirect URI, or the
 * body of a `form_post`.
 */
export type AuthorizationResponse = URLSearchParams | Readonly<Record<string, unknown>>

/** What of the response matters here. */
export interface RedeemableResponse {
  readonly code: string
  readonly sessionState: string | undefined
}

/**
 * Checks the response against the request that it must be an answer to.
 * @param response nothing where the framework found none: that is one without parameters
 * @param expectedState the `state` of the authorization request
 * @throws {ConfigurationError} when there is no state to check against
 * @throws {AuthorizationResponseError} when it is another request's answer, a refusal, or no answer at all
 */
export function readAuthorizationResponse(
  response: AuthorizationResponse | null | undefined,
  expectedState: string | undefined,
): RedeemableResponse {
  if (!expectedState) {
    throw new ConfigurationError(
      'state is missing: pass the state of the authorization request, so that the response can be checked against it',
    )
  }
  // First of all: until this is right, the rest is anybody's.
  if (parameter(response, 'state') !== expectedState) throw new AuthorizationResponseError('state_mismatch')
  const error = parameter(response, 'error')
  if (error !== undefined) throw new AuthorizationResponseError(error)
  const code = parameter(response, 'code')
  if (code === undefined) throw new AuthorizationResponseError('code_missing')
  return { code, sessionState: parameter(response, 'session_state') }
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
