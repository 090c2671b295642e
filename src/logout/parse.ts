import { ConfigurationError, LogoutCallbackError } from '../errors.ts'
import { checkOptions, isName } from '../guards.ts'
import { type BackChannelCallback, type LogoutTokenExpectations, parseBackChannel } from './back-channel.ts'
import { checkIssuer, matchesIssuer } from './issuer.ts'
import { keysOf } from './keys.ts'
import {
  BadRequestError,
  type CallbackRequest,
  onlyValue,
  type RequestParameters,
  receive,
} from './request.ts'

/** Whose logout callbacks are taken, and how they are verified. */
export interface LogoutOptions {
  /**
   * The `iss` of your ID tokens, exactly, or Entra ID's template for all tenants,
   * `https://login.microsoftonline.com/{tenantid}/v2.0`, in which `{tenantid}` stands for a tenant's GUID.
   */
  issuer: string
  /**
   * The keys that verify back-channel tokens, their URL, or a function that finds the key of a token by its protected
   * header, such as `createRemoteJWKSet` of jose makes one. Default: the `jwks_uri` of the issuer's
   * discovery document, read when the first token arrives.
   */
  jwks?:
    | URL
    | { keys: readonly object[] }
    | ((
        header: { alg: string; kid?: string },
        token: { payload: string; protected?: string; signature: string },
      ) => Promise<object> | object)
    | undefined
  /** The signature algorithms of back-channel tokens, as registered for ID tokens. Default `['RS256']`. */
  algorithms?: readonly string[] | undefined
}

/**
 * A front-channel logout request: Front-Channel Logout 1.0 §3. Nobody has signed it, so its largest effect may be
 * the end of the session that it names.
 */
export interface FrontChannelCallback {
  kind: 'front-channel'
  /** The provider's session. Without it, only the host's own session can tell whose sign-out it is. */
  sid?: string | undefined
  /** Whose `sid` it is: the configured issuer, or under a template one tenant's. Entra ID does not send it. */
  issuer?: string | undefined
}

/**
 * A front-channel logout request of another issuer. The specification has it ignored and answered like a success
 * (Front-Channel Logout 1.0 §3), so it is no error. It is a kind of its own, without `sid`, so that nobody takes it
 * for one that names a session here, or for one that names nobody.
 */
export interface ForeignCallback {
  kind: 'foreign-issuer'
  /** As it was sent. */
  issuer: string
}

/** What a logout callback says, once it is verified. */
export type LogoutCallback = FrontChannelCallback | BackChannelCallback | ForeignCallback

// `none` and HMAC are not here: with them, anyone who knows the public key, or nothing, could sign.
const ALGORITHMS = new Set([
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512'],
  ...['EdDSA', 'Ed25519', 'ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87'],
])
const OPTION_NAMES = ['issuer', 'jwks', 'algorithms', 'clientId']

/**
 * Reads and verifies a logout callback, without a plugin and without evicting anybody: a front-channel GET
 * (Front-Channel Logout 1.0 §3), or a back-channel POST (Back-Channel Logout 1.0 §2.5 and §2.6). Whether a
 * back-channel token's `jti` is new is for the caller to check.
 *
 * HEAD is refused: no provider sends it, and a link checker should not sign anybody out.
 * @throws {LogoutCallbackError} when it is not valid, or could not be verified
 * @throws {ConfigurationError} naming the option, or when the request's body was read before
 *
 * @example
 * ```ts
 * const callback = await parseLogoutCallback(req, { issuer: 'https://op.example', clientId })
 * if (callback.kind === 'back-channel' && callback.sid !== undefined) await endSession(callback.sid)
 * ```
 */
export async function parseLogoutCallback(
  request: CallbackRequest,
  options: LogoutOptions & { clientId: string },
): Promise<LogoutCallback> {
  return parseCallback(request, resolveLogoutOptions(options))
}

/** {@link parseLogoutCallback} with options that are checked already. */
export async function parseCallback(
  request: CallbackRequest,
  expected: LogoutTokenExpectations,
): Promise<LogoutCallback> {
  const { method, readQuery, readForm } = receive(request)
  try {
    if (method === 'GET') return parseFrontChannel(readQuery(), expected.issuer)
    if (method === 'POST') return await parseBackChannel(await readForm(), expected)
  } catch (error) {
    throw error instanceof BadRequestError ? new LogoutCallbackError(error.message) : error
  }
  throw new LogoutCallbackError('a logout callback is a GET or a POST', { status: 405 })
}

/**
 * Reads `sid` and `iss`. The specification wants both or neither; Entra ID sends `sid` alone.
 * @param expected the issuer, or a template
 * @throws {BadRequestError} when one of them occurs twice, is too long, or is not text
 */
function parseFrontChannel(
  query: RequestParameters,
  expected: string,
): FrontChannelCallback | ForeignCallback {
  const sid = onlyValue(query, 'sid')
  const issuer = onlyValue(query, 'iss')
  if (issuer !== undefined && !matchesIssuer(issuer, expected)) return { kind: 'foreign-issuer', issuer }
  return {
    kind: 'front-channel',
    ...(sid === undefined ? {} : { sid }),
    ...(issuer === undefined ? {} : { issuer }),
  }
}

/** @throws {ConfigurationError} naming the option */
export function resolveLogoutOptions(options: LogoutOptions & { clientId: string }): LogoutTokenExpectations {
  checkOptions(options, OPTION_NAMES)
  const { issuer, jwks, algorithms = ['RS256'], clientId } = options
  if (!isName(clientId)) throw new ConfigurationError('clientId must be a non-empty string')
  if (
    !Array.isArray(algorithms) ||
    algorithms.length === 0 ||
    !algorithms.every((it) => ALGORITHMS.has(it))
  ) {
    throw new ConfigurationError(`algorithms must be a list of one or more of ${[...ALGORITHMS].join(', ')}`)
  }
  const checked = checkIssuer(issuer)
  return { issuer: checked, clientId, algorithms: [...algorithms], keys: keysOf(checked, jwks) }
}

/**
 * The `state` with which the browser comes back from the provider: RP-Initiated Logout 1.0 §3.
 *
 * Anybody can send a browser here with any `state`. Compare it with the one that you kept for this browser. When it
 * differs, or none was kept, show the signed-out page as well. Never redirect to it.
 * @returns without `state` when there is none, or one that {@link createLogoutUrl} would not have sent
 * @throws {ConfigurationError} when `request` is not a request
 *
 * @example
 * ```ts
 * app.get('/signed-out', (req, res) => {
 *   const { state } = parsePostLogout(req)
 *   res.send(state === req.session.logoutState ? 'You have signed out.' : 'You are signed out.')
 * })
 * ```
 */
export function parsePostLogout(request: CallbackRequest): { state?: string } {
  const { readQuery } = receive(request)
  try {
    const state = onlyValue(readQuery(), 'state')
    return state === undefined ? {} : { state }
  } catch (error) {
    if (error instanceof BadRequestError) return {}
    throw error
  }
}
