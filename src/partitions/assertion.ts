import { createHash } from 'node:crypto'

/** What is kept in mind of an incoming token, which itself goes nowhere. Whether it is genuine, the host has asked. */
export interface Assertion {
  /** As MSAL computes its `userAssertionHash`: base64url of SHA-256. */
  readonly hash: string
  /** Its `iat`, in epoch seconds; undefined where it cannot be read. */
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
  const { iat, idtyp, sub, oid } = claimsOf(assertion)
  return {
    hash: createHash('sha256').update(assertion).digest('base64url'),
    issuedAt: typeof iat === 'number' ? iat : undefined,
    // Where Entra ID leaves idtyp out, an application's own token is the one whose subject is its object id.
    isAppOnly: idtyp === undefined ? typeof oid === 'string' && oid === sub : idtyp === 'app',
  }
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

function claimsOf(token: string): Record<string, unknown> {
  try {
    const [, payload = ''] = token.split('.', 2)
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString())
    return typeof claims === 'object' && claims !== null ? (claims as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
