import { createHash } from 'node:crypto'
import { claimsOf } from '../jwt.ts'

/** What is kept in mind of an incoming token, which itself goes nowhere. Whether it is genuine, the host has asked. */
export interface Assertion {
  /** As MSAL computes its `userAssertionHash`: base64url of SHA-256. */
  readonly hash: string
  /** When it was issued, in epoch seconds; undefined where it does not say. */
  readonly issuedAt: number | undefined
  /** Whether it was issued to an application in its own name, so that there is no user to evict. */
  readonly isAppOnly: boolean
}

/** No access token lives longer, so one that does not say when it was issued is at most this old. Milliseconds. */
const LONGEST_LIFETIME = 24 * 60 * 60 * 1000

/** @throws {TypeError} without quoting it (P9) */
export function readAssertion(assertion: unknown): Assertion {
  if (typeof assertion !== 'string' || assertion === '') {
    throw new TypeError('assertion must be a non-empty string: the incoming access token')
  }
  const claims = claimsOf(assertion)
  return {
    hash: createHash('sha256').update(assertion).digest('base64url'),
    issuedAt: issueTimeOf(claims),
    // Nothing else tells for certain: a user's object id and subject may be equal too.
    isAppOnly: claims.idtyp === 'app',
  }
}

/** Entra ID dates its access tokens back, `iat` and `nbf` alike, for resources whose clocks are behind. Seconds. */
const ENTRA_BACKDATING = 300
// Not b2clogin.com, whose tokens are not dated back, nor ciamlogin.com, of which nothing published says: wrongly
// listed, they would let tokens of the five minutes before an eviction pass.
const ENTRA_ISSUER =
  /^https:\/\/(?:login\.(?:partner\.)?microsoftonline\.[a-z]+|sts\.(?:windows\.net|chinacloudapi\.cn))\//

function issueTimeOf({ iss, iat, nbf }: Record<string, unknown>): number | undefined {
  if (typeof iat !== 'number') return undefined
  const isBackdated = typeof iss === 'string' && ENTRA_ISSUER.test(iss) && iat === nbf
  return isBackdated ? iat + ENTRA_BACKDATING : iat
}

const LONGEST_SESSION_KEY = 1024

/** @throws {TypeError} without quoting it */
export function checkSessionKey(sessionKey: unknown): string {
  const isKey =
    typeof sessionKey === 'string' && sessionKey !== '' && sessionKey.length <= LONGEST_SESSION_KEY
  if (!isKey) throw new TypeError(`sessionKey must be a string of 1 to ${LONGEST_SESSION_KEY} characters`)
  return sessionKey
}

/** Whether the token was issued before the eviction, or within the same second. */
export function isIssuedBefore({ issuedAt }: Assertion, evictedAt: number): boolean {
  const latest = issuedAt === undefined ? Date.now() - LONGEST_LIFETIME : issuedAt * 1000
  return Math.floor(latest / 1000) <= Math.floor(evictedAt / 1000)
}
