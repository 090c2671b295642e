import { linkKind } from '../records/key-names.ts'
import { type CurrentGeneration, isValid, LONGEST_TTL } from './generation.ts'
import type { SignInRef } from './identity.ts'
import type { NamedLink, NamedSession } from './links.ts'

// A session of an account has an epoch, as the account has a generation: a random id, which the session's end replaces.
// The epoch record is a generation record under another key. A sign-in joins the epoch that it finds, and nobody writes
// one back: what began with another is over, whoever writes meanwhile.

/** One of the provider's sessions that lead to an account, as far as the records say. It holds no secret. */
export interface SessionInfo {
  /** `iss` of its ID tokens. */
  issuer: string
  /** Whether an ID token names it, by `sid`, or only the authorization response did, by `session_state`. */
  namedBy: 'sid' | 'session_state'
  /** When it signed in first. */
  firstSeen: Date
  /** When it signed in, or refreshed a token, last. */
  lastSeen: Date
  /** When it is forgotten, unless the account is used before. */
  expiresAt: Date
  /** Whether it is the session that was asked with. */
  isCurrent: boolean
}

/**
 * Whether a host session's session at the provider goes on. Without an epoch record nobody has ended it in the last 90
 * days, for which such a record lives; what came before, only the account's own record tells.
 * @param named what the account names of that session
 */
export function isLive(
  { epoch, since }: Pick<SignInRef, 'epoch' | 'since'>,
  current: CurrentGeneration,
  named: () => NamedSession | undefined,
): boolean {
  if (epoch === undefined || since === undefined) return false
  if (current.kind !== 'none') return isValid(epoch, current)
  return since > Date.now() - LONGEST_TTL || named()?.epoch === epoch
}

/** @param digest of the session that is asked with */
export function describeSession(
  { key, issuer, session }: NamedLink & { readonly session: NamedSession },
  expiresAt: number,
  digest: string | undefined,
): SessionInfo {
  return {
    issuer,
    namedBy: linkKind(key) === 'signed' ? 'sid' : 'session_state',
    firstSeen: new Date(session.firstSeen),
    lastSeen: new Date(session.lastSeen),
    expiresAt: new Date(expiresAt),
    isCurrent: session.digest === digest,
  }
}
