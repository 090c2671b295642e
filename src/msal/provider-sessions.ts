import type { ProviderSession } from '../accounts/links.ts'
import { claimsOf } from '../jwt.ts'
import type { SerializedCache } from './schema.ts'

/**
 * The provider's sessions that a cache has ID tokens of. `sid` is an optional claim with Entra ID; there the
 * authorization response's `session_state` equals the later `sid`.
 */
export function providerSessions(cache: SerializedCache, sessionState?: string): ProviderSession[] {
  return Object.values(cache.IdToken).flatMap(({ secret }) => {
    const { iss, sid, sub } = claimsOf(secret)
    const issuer = text(iss)
    if (issuer === undefined) return []
    return [{ issuer, sid: sessionIdOf({ sid }, sessionState), subject: text(sub) }]
  })
}

/** The name of the provider's session: the ID token's `sid`, else the authorization response's `session_state`. */
export function sessionIdOf(
  claims: { sid?: unknown } | undefined,
  sessionState?: string,
): string | undefined {
  return text(claims?.sid) ?? text(sessionState)
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
