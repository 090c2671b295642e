import { claimsOf } from '../jwt.ts'
import type { ProviderSession } from '../sessions/links.ts'
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
    return [{ issuer, sid: text(sid) ?? sessionState, subject: text(sub) }]
  })
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
