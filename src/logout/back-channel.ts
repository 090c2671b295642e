import type {
  errors,
  JWTHeaderParameters,
  JWTPayload,
  JWTVerifyGetKey,
  JWTVerifyOptions,
  JWTVerifyResult,
  jwtVerify,
} from 'jose'
import { LogoutCallbackError } from '../errors.ts'
import { isObject } from '../guards.ts'
import { matchesIssuer } from './issuer.ts'
import { isValue, LONGEST_REQUEST, onlyValue, type RequestParameters } from './request.ts'

/** A verified back-channel logout token: Back-Channel Logout 1.0 §2.4. It names a session, a subject, or both. */
export interface BackChannelCallback {
  kind: 'back-channel'
  /** `iss`: under a template, that of one tenant. */
  issuer: string
  /** The session to end. Without it, all sessions of `subject` end. */
  sid?: string | undefined
  subject?: string | undefined
  /** The token's id, which must not have been seen before. */
  jti: string
  issuedAt: Date
  /**
   * When the token stops being accepted, clock tolerance included: its `exp`, or ten minutes after `issuedAt` if
   * that is earlier or the token has no `exp`. Until then its `jti` must be remembered.
   */
  expiresAt: Date
}

/** What a logout token must be. */
export interface LogoutTokenExpectations {
  /** The issuer, or a template. */
  readonly issuer: string
  readonly clientId: string
  readonly algorithms: readonly string[]
  readonly keys: JWTVerifyGetKey
}

/** How far the provider's clock may be off, in seconds. */
const CLOCK_TOLERANCE = 60
/** How long after its `iat` a token is accepted, in seconds, tolerance included, whatever its `exp`. */
const LONGEST_LIFE = 600

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
// Explicit typing is a recommendation (§4.1), and older providers write `JWT`. A token for something else says what it is.
const TYPES = ['logout+jwt', 'application/logout+jwt', 'jwt', 'application/jwt']
/** What each part of a logout token must be: §2.4, §2.6. Without quotes, which an OAuth error_description cannot hold. */
const RULES: Readonly<Record<string, string>> = {
  typ: 'must be logout+jwt or JWT, or left out',
  iss: 'must be the issuer of this handler',
  aud: 'must name the client id',
  events: 'must hold the event of a back-channel logout',
  nonce: 'must be left out',
  jti: 'must be printable text',
  sid: 'must be printable text',
  sub: 'must be printable text',
  'sid or sub': 'must be there',
  iat: 'must be a time of the last ten minutes',
  exp: 'must be a time to come, or left out',
  nbf: 'must be a time that has come',
}

/**
 * Verifies the `logout_token` of a form: every step of Back-Channel Logout 1.0 §2.6, except that its `jti` is new.
 * @throws {LogoutCallbackError} with `keysUnavailable` when the issuer's keys could not be fetched
 * @throws {BadRequestError} when the form has two, or one that is not text
 */
export async function parseBackChannel(
  form: RequestParameters,
  expected: LogoutTokenExpectations,
): Promise<BackChannelCallback> {
  const token = onlyValue(form, 'logout_token', LONGEST_REQUEST)
  if (token === undefined) throw new LogoutCallbackError('logout_token is missing')
  // MSAL Node opens no encrypted ID token, so no app that it serves is registered for encryption.
  if (isEncrypted(token))
    throw new LogoutCallbackError('the logout_token is encrypted: it must be signed only')
  try {
    const { protectedHeader, payload } = await verify(token, expected)
    return callbackOf(protectedHeader, payload, expected.issuer)
  } catch (error) {
    throw asCallbackError(error)
  }
}

async function verify(token: string, expected: LogoutTokenExpectations): Promise<JWTVerifyResult> {
  const options: JWTVerifyOptions = {
    algorithms: [...expected.algorithms],
    audience: expected.clientId,
    maxTokenAge: LONGEST_LIFE - CLOCK_TOLERANCE,
    clockTolerance: CLOCK_TOLERANCE,
  }
  // Loaded here: it takes longer than all the rest of this library, and many hosts never see a logout token.
  const { jwtVerify } = await import('jose/jwt/verify')
  try {
    return await jwtVerify(token, attributed(expected.keys), options)
  } catch (error) {
    if (!isMultipleMatchingKeys(error)) throw error
    return verifyWithAnyOf(error, jwtVerify, token, options)
  }
}

/** A token without `kid`, while the provider has two keys. */
async function verifyWithAnyOf(
  keys: errors.JWKSMultipleMatchingKeys,
  verifyWith: typeof jwtVerify,
  token: string,
  options: JWTVerifyOptions,
): Promise<JWTVerifyResult> {
  let failure: unknown = keys
  for await (const key of keys) {
    try {
      return await verifyWith(token, key, options)
    } catch (error) {
      if (codeOf(error) !== BAD_SIGNATURE) throw error
      failure = error
    }
  }
  throw failure
}

/** Tells a token that names no key of the issuer from keys that could not be fetched. */
function attributed(keys: JWTVerifyGetKey): JWTVerifyGetKey {
  return async (header, token) => {
    try {
      return await keys(header, token)
    } catch (error) {
      if (isMultipleMatchingKeys(error) || isNoMatchingKey(error)) throw error
      throw keysUnavailable(error)
    }
  }
}

// jose's errors, by their codes: the function that finds keys may come with another copy of it.
const BAD_SIGNATURE = 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED'

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code
}

function isMultipleMatchingKeys(error: unknown): error is errors.JWKSMultipleMatchingKeys {
  return codeOf(error) === 'ERR_JWKS_MULTIPLE_MATCHING_KEYS'
}

function isNoMatchingKey(error: unknown): boolean {
  return codeOf(error) === 'ERR_JWKS_NO_MATCHING_KEY'
}

function isUnacceptableClaim(error: unknown): error is errors.JWTClaimValidationFailed | errors.JWTExpired {
  return codeOf(error) === 'ERR_JWT_CLAIM_VALIDATION_FAILED' || codeOf(error) === 'ERR_JWT_EXPIRED'
}

function callbackOf(
  header: JWTHeaderParameters,
  claims: JWTPayload,
  expectedIssuer: string,
): BackChannelCallback {
  const { iss: issuer, sub: subject, sid, jti, iat, exp, events } = claims
  if (!isLogoutTokenType(header.typ)) throw unacceptable('typ')
  if (!isValue(issuer) || !matchesIssuer(issuer, expectedIssuer)) throw unacceptable('iss')
  if (!isLogoutEvent(events)) throw unacceptable('events')
  if (Object.hasOwn(claims, 'nonce')) throw unacceptable('nonce')
  if (!isValue(jti)) throw unacceptable('jti')
  if (sid !== undefined && !isValue(sid)) throw unacceptable('sid')
  if (subject !== undefined && !isValue(subject)) throw unacceptable('sub')
  if (sid === undefined && subject === undefined) throw unacceptable('sid or sub')
  if (iat === undefined) throw unacceptable('iat')
  return {
    kind: 'back-channel',
    issuer,
    ...(sid === undefined ? {} : { sid }),
    ...(subject === undefined ? {} : { subject }),
    jti,
    issuedAt: new Date(iat * 1000),
    expiresAt: endOf(iat, exp),
  }
}

/** A JWE has five parts, a signed JWT three. */
function isEncrypted(token: string): boolean {
  return token.split('.', 6).length === 5
}

function isLogoutTokenType(typ: unknown): boolean {
  return typ === undefined || (typeof typ === 'string' && TYPES.includes(typ.toLowerCase()))
}

function isLogoutEvent(events: unknown): boolean {
  return isObject(events) && Object.hasOwn(events, EVENT) && isObject(events[EVENT])
}

// jose counts in whole seconds, and still accepts a token in the second in which it reaches its age.
function endOf(iat: number, exp: number = Number.POSITIVE_INFINITY): Date {
  return new Date(Math.ceil(Math.min(exp + CLOCK_TOLERANCE, iat + LONGEST_LIFE + 1)) * 1000)
}

function unacceptable(claim: string): LogoutCallbackError {
  return new LogoutCallbackError(`the ${claim} of the logout_token ${RULES[claim] ?? 'is not acceptable'}`)
}

function keysUnavailable(error: unknown): LogoutCallbackError {
  // What fetch says is "fetch failed"; why is in its cause.
  const cause = error instanceof TypeError && error.cause instanceof Error ? error.cause : error
  return new LogoutCallbackError('the keys that verify the logout_token could not be fetched', {
    keysUnavailable: true,
    cause,
  })
}

/** jose's errors carry the claims, and some quote the header (P9): only what cannot is taken over. */
function asCallbackError(error: unknown): LogoutCallbackError {
  if (error instanceof LogoutCallbackError) return error
  if (isUnacceptableClaim(error)) return unacceptable(error.claim)
  if (codeOf(error) === BAD_SIGNATURE) {
    return new LogoutCallbackError('the signature of the logout_token does not verify')
  }
  if (isNoMatchingKey(error)) {
    return new LogoutCallbackError('the logout_token is signed with a key that the issuer does not have')
  }
  if (codeOf(error) === 'ERR_JOSE_ALG_NOT_ALLOWED') {
    return new LogoutCallbackError('the alg of the logout_token is not one of the option algorithms')
  }
  if (String(codeOf(error)).startsWith('ERR_J')) {
    return new LogoutCallbackError('the logout_token is not a signed JWT')
  }
  // Such as a key that is too short, or one of another kind than `alg` needs.
  return keysUnavailable(error)
}
