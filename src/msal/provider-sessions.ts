import type { DirectoryUser, ProviderSession } from '../accounts/links.ts'
import { guidOf, isText } from '../guards.ts'
import { claimsOf } from '../jwt.ts'
import type { SerializedCache } from './schema.ts'

/**
 * The provider's sessions that a cache has ID tokens of. `sid` is an optional claim with Entra ID; there the
 * authorization response's `session_state` equals the later `sid`.
 */
export function providerSessions(cache: SerializedCache, sessionState?: string): ProviderSession[] {
  return Object.values(cache.IdToken).flatMap(({ secret }) => {
    const claims = claimsOf(secret)
    const issuer = text(claims.iss)
    if (issuer === undefined) return []
    const sid = text(claims.sid)
    return [
      {
        issuer,
        sid,
        sessionState: sid === undefined ? text(sessionState) : undefined,
        subject: text(claims.sub),
        directoryUser: directoryUser(claims),
      },
    ]
  })
}

/** The name of the provider's session: the ID token's `sid`, else the authorization response's `session_state`. */
export function sessionIdOf(claims: object | undefined, sessionState?: string): string | undefined {
  return text((claims as { sid?: unknown } | undefined)?.sid) ?? text(sessionState)
}

function directoryUser({ tid, oid }: Record<string, unknown>): DirectoryUser | undefined {
  const [tenantId, objectId] = [guidOf(tid), guidOf(oid)]
  return tenantId === undefined || objectId === undefined ? undefined : { tenantId, objectId }
}

function text(value: unknown): string | undefined {
  return isText(value) ? value : undefined
}
