import { OWNED_SECTIONS, type SerializedCache } from './schema.ts'

type Account = SerializedCache['Account'][string]

/** `update` over `base`, entity by entity. An account keeps the tenant profiles of both. */
export function mergeCaches(base: SerializedCache, update: SerializedCache): SerializedCache {
  const merged: SerializedCache = { ...base, ...update }
  for (const section of [...OWNED_SECTIONS, 'AppMetadata'] as const) {
    Object.assign(merged, { [section]: { ...base[section], ...update[section] } })
  }
  for (const [key, account] of Object.entries(update.Account)) {
    const known = base.Account[key]
    if (known !== undefined) merged.Account[key] = uniteTenantProfiles(known, account)
  }
  return merged
}

/** A home and a guest sign-in of one account each bring only their own tenant's profile. */
function uniteTenantProfiles(known: Account, account: Account): Account {
  const profiles = new Map<string, string>()
  for (const profile of [...(known.tenantProfiles ?? []), ...(account.tenantProfiles ?? [])]) {
    profiles.set(tenantOf(profile), profile)
  }
  return profiles.size === 0 ? account : { ...account, tenantProfiles: [...profiles.values()] }
}

/** MSAL keeps each tenant profile as a JSON text. */
function tenantOf(profile: string): string {
  try {
    const { tenantId } = JSON.parse(profile) as { tenantId?: unknown }
    return typeof tenantId === 'string' ? tenantId : profile
  } catch {
    return profile
  }
}

/** Without the access tokens that MSAL would not use any more, not even in an outage of the provider. */
export function withoutExpired(cache: SerializedCache, now: number): SerializedCache {
  const live = Object.entries(cache.AccessToken).filter(([, token]) => {
    const lastUse = Math.max(Number(token.expires_on), Number(token.extended_expires_on ?? 0))
    return !(lastUse * 1000 <= now)
  })
  return { ...cache, AccessToken: Object.fromEntries(live) }
}

/** Whether this is the answer to an on-behalf-of request: tokens for an incoming assertion, not for a sign-in. */
export function isOnBehalfOf(acquired: SerializedCache): boolean {
  return Object.values(acquired.AccessToken).some((token) => token.userAssertionHash !== undefined)
}
