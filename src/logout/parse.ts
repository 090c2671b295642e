import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose'
import { ConfigurationError, LogoutCallbackError } from '../errors.ts'
import { checkOptions, isName } from '../guards.ts'
import { type BackChannelCallback, type LogoutTokenExpectations, parseBackChannel } from './back-channel.ts'
import { type ForeignCallback, type FrontChannelCallback, parseFrontChannel } from './front-channel.ts'
import { checkIssuer } from './issuer.ts'
import { keysOf } from './keys.ts'
import { BadRequestError, type CallbackRequest, receive } from './request.ts'

/** Whose logout callbacks are taken, and how they are verified. */
export interface LogoutOptions {
  /**
   * The `iss` of your ID tokens, exactly, or Entra ID's template for all tenants,
   * `https://login.microsoftonline.com/{tenantid}/v2.0`, in which `{tenantid}` stands for a tenant's GUID.
   */
  issuer: string
  /**
   * The keys that verify back-channel tokens, or their URL. Default: the `jwks_uri` of the issuer's
   * discovery document, read when the first token arrives.
   */
  jwks?: URL | JSONWebKeySet | JWTVerifyGetKey | undefined
  /** The signature algorithms of back-channel tokens, as registered for ID tokens. Default `['RS256']`. */
  algorithms?: readonly string[] | undefined
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
