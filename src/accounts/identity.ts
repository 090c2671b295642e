import { createHash } from 'node:crypto'
import { guidOf, isText } from '../guards.ts'
import { claimsOf } from '../jwt.ts'

/** An account, whichever sign-in it is: MSAL's home account id, or an object that has one, such as MSAL's `AccountInfo`. */
export interface AccountRef {
  homeAccountId: string
}

/**
 * What a host keeps in its own session after a sign-in. It holds no secret, so it fits a session cookie, but the
 * cookie must be signed: anyone who forges it is signed in.
 */
export interface HostSession {
  /** MSAL's home account id. */
  homeAccountId: string
  /** The generation of the sign-in: an eviction ends it, and with it this session. */
  generation: string
  /** The provider's session: the ID token's `sid`, or the authorization response's `session_state`. */
  sid?: string | undefined
  /** The epoch of the provider's session, and when it was that: the end of that session replaces it. Epoch milliseconds. */
  epoch?: string | undefined
  since?: number | undefined
  /** The tenant that was signed in to, or the user flow in B2C; nothing if the provider has neither. */
  tenantId?: string | undefined
}

/** An account, and the one generation and session of it that may be shown if the host knows them. */
export interface SignInRef {
  readonly homeAccountId: string
  readonly generation?: string | undefined
  readonly sid?: string | undefined
  readonly epoch?: string | undefined
  readonly since?: number | undefined
  readonly tenantId?: string | undefined
}

const LONGEST_ID = 1024
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f-\u009f]/

/** @throws {TypeError} naming what is wrong, without quoting the id (P9) */
export function signInRef(account: HostSession | AccountRef): SignInRef {
  if (typeof account !== 'object' || account === null) {
    throw new TypeError(
      'account must be the session that completeSignIn returned, or { homeAccountId }: if nobody is signed in ' +
        'here, begin a sign-in',
    )
  }
  const { homeAccountId, generation, sid, epoch, since, tenantId } = account as Partial<HostSession>
  if (generation !== undefined && !isText(generation)) {
    throw new TypeError('generation must be a non-empty string: pass on what openSession returned')
  }
  // A session's name means something beside the generation only: MSAL's accounts may have a claim of that name.
  if (generation === undefined) return { homeAccountId: checkHomeAccountId(homeAccountId) }
  checkOptional('sid', sid, 'string')
  checkOptional('epoch', epoch, 'string')
  checkOptional('since', since, 'number')
  checkOptional('tenantId', tenantId, 'string')
  return { homeAccountId: checkHomeAccountId(homeAccountId), generation, sid, epoch, since, tenantId }
}

/** As {@link signInRef}, of a session and of nothing less. */
export function sessionRef(session: HostSession): SignInRef {
  const of = signInRef(session)
  if (of.generation !== undefined) return of
  throw new TypeError(
    'generation is missing: pass the whole session that completeSignIn or openSession returned',
  )
}

function checkOptional(name: string, value: unknown, type: 'string' | 'number'): void {
  if (value === undefined || typeof value === type) return
  throw new TypeError(`${name} must be a ${type}: pass on what openSession returned`)
}

/**
 * Home account ids are opaque: `uid.utid` with Entra ID, a plain `sub` with any other OpenID provider.
 * @throws {TypeError} naming what is wrong, without quoting the id (P9)
 */
export function checkHomeAccountId(id: unknown): string {
  if (typeof id !== 'string') throw new TypeError('homeAccountId must be a string')
  if (id === '') throw new TypeError('homeAccountId must not be empty')
  if (id.length > LONGEST_ID) throw new TypeError(`homeAccountId must have at most ${LONGEST_ID} characters`)
  if (CONTROL_CHARACTER.test(id)) throw new TypeError('homeAccountId must not contain control characters')
  if (id.trim() !== id) throw new TypeError('homeAccountId must not begin or end with white space')
  return id
}

/**
 * A directory's or a directory user's id as it is compared, in lower case.
 * @throws {TypeError} naming the parameter, without quoting it (P9)
 */
export function checkDirectoryId(name: string, value: unknown): string {
  const id = guidOf(value)
  if (id === undefined) throw new TypeError(`${name} must be a GUID, as Entra ID writes its ids`)
  return id
}

const TENANT = /^(?=.*[A-Za-z0-9])[A-Za-z0-9.-]{1,255}$/
// Entra ID's names for "the tenant of the user, whichever it is": app tokens are issued per tenant.
const NOT_A_TENANT = new Set(['common', 'organizations', 'consumers'])

/**
 * A tenant's id or domain name, in lower case.
 * @throws {TypeError} naming what is wrong
 */
export function checkTenantId(tenantId: unknown): string {
  if (typeof tenantId !== 'string' || !TENANT.test(tenantId)) {
    throw new TypeError(
      'tenantId must be a tenant id or domain name: 1 to 255 letters, digits, dots or hyphens',
    )
  }
  const name = tenantId.toLowerCase()
  if (NOT_A_TENANT.has(name)) {
    throw new TypeError(`tenantId must name a single tenant, not '${name}': app tokens are issued per tenant`)
  }
  return name
}

/** What is remembered of an incoming token, which itself is not kept. The host has verified it. */
export interface Assertion {
  /** As MSAL computes its `userAssertionHash`: base64url of SHA-256. */
  readonly hash: string
  /** When it was issued, in epoch seconds; undefined where it does not say. */
  readonly issuedAt: number | undefined
  /** Whether an application got it in its own name, so that there is no user to evict. */
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

/** Whether the token was issued before the eviction, or within the same second. */
export function isIssuedBefore({ issuedAt }: Assertion, evictedAt: number): boolean {
  const latest = issuedAt === undefined ? Date.now() - LONGEST_LIFETIME : issuedAt * 1000
  return Math.floor(latest / 1000) <= Math.floor(evictedAt / 1000)
}
