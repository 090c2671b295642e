import { isDeepStrictEqual } from 'node:util'
import { cloudOf } from '../accounts/origin.ts'
import { isObject, isString, parseJson } from '../guards.ts'
import { claimsOf } from '../jwt.ts'
import { environmentsOf, OWNED_SECTIONS, type SerializedCache } from './schema.ts'

type Account = SerializedCache['Account'][string]
type AccessToken = SerializedCache['AccessToken'][string]
type RefreshToken = SerializedCache['RefreshToken'][string]

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
  const value = parseJson(profile)
  return isObject(value) && isString(value.tenantId) ? value.tenantId : profile
}

/** Without the access tokens that MSAL would not use any more, not even in an outage of the provider. */
export function withoutExpired(cache: SerializedCache, now: number): SerializedCache {
  const live = Object.entries(cache.AccessToken).filter(([, token]) => !(lastUse(token) <= now))
  return { ...cache, AccessToken: Object.fromEntries(live) }
}

/** When the last of the access tokens is of no more use, in epoch milliseconds; Infinity where one does not say. */
export function lastUseOf(cache: SerializedCache): number {
  const uses = Object.values(cache.AccessToken).map(lastUse)
  return uses.some(Number.isNaN) ? Number.POSITIVE_INFINITY : Math.max(...uses)
}

/**
 * When a user's cache is of no more use, in epoch milliseconds: with the last access or ID token; Infinity with
 * a refresh token, or where one does not say.
 */
export function usableUntil(cache: SerializedCache): number {
  if (Object.keys(cache.RefreshToken).length > 0) return Number.POSITIVE_INFINITY
  const idTokens = Object.values(cache.IdToken).map(({ secret }) => {
    const { exp } = claimsOf(secret)
    return typeof exp === 'number' ? 1000 * exp : Number.POSITIVE_INFINITY
  })
  return Math.max(lastUseOf(cache), ...idTokens)
}

function lastUse(token: AccessToken): number {
  return 1000 * Math.max(Number(token.expires_on), Number(token.extended_expires_on ?? 0))
}

/**
 * `acquired` over `base`, without the tokens that it replaces. For access tokens that is MSAL's rule, which it applies to its memory,
 * but for a token with additional cache key components: of that, MSAL thinks it replaces the one without them.
 */
export function supersede(before: SerializedCache, answer: SerializedCache): SerializedCache {
  // The account beside the tokens may still have another name.
  const { AccessToken, IdToken, RefreshToken } = answer
  const name = [AccessToken, IdToken, RefreshToken].flatMap((each) => Object.values(each)).at(-1)?.environment
  const [base, acquired] = [before, answer].map((each) => underOneName(each, name)) as [
    SerializedCache,
    SerializedCache,
  ]
  return mergeCaches(
    {
      ...base,
      AccessToken: without(base.AccessToken, acquired.AccessToken, replaces),
      RefreshToken: without(base.RefreshToken, acquired.RefreshToken, isSameRefreshToken),
    },
    acquired,
  )
}

/**
 * With everything of a cloud under one of its names. Under two, MSAL has two accounts, may go on presenting the older
 * refresh token, and of two access tokens that fit takes neither.
 */
export function underOneName(cache: SerializedCache, name: string | undefined): SerializedCache {
  const names = name === undefined ? undefined : cloudOf(name)
  if (
    names === undefined ||
    [...environmentsOf(cache)].every((each) => each === name || !names.includes(each))
  )
    return cache
  const renamed = { ...cache }
  for (const section of [...OWNED_SECTIONS, 'AppMetadata'] as const) {
    const entities = Object.entries<{ environment: string }>(cache[section]).map(([key, entity]) => {
      const { environment } = entity
      if (environment === name || !names.includes(environment)) return [key, entity]
      return [key.replace(`-${environment}`, `-${name}`), { ...entity, environment: name }]
    })
    Object.assign(renamed, { [section]: Object.fromEntries(entities) })
  }
  return { ...renamed, RefreshToken: newestRefreshTokens(renamed.RefreshToken) }
}

function without<Token>(
  tokens: Record<string, Token>,
  fresh: Record<string, Token>,
  isReplaced: (replacement: Token, token: Token) => boolean,
): Record<string, Token> {
  const replacements = Object.values(fresh)
  return Object.fromEntries(
    Object.entries(tokens).filter(([, token]) => !replacements.some((each) => isReplaced(each, token))),
  )
}

const SAME_IN_BOTH_REFRESH_TOKENS = ['home_account_id', 'environment', 'client_id', 'family_id'] as const

/**
 * Without those that another one replaces: after an upgrade from MSAL 3, two lie in one cache. MSAL appends what is new,
 * so the last one is the newest.
 */
export function newestRefreshTokens(tokens: Record<string, RefreshToken>): Record<string, RefreshToken> {
  const newest = new Map<string, [key: string, token: RefreshToken]>()
  for (const entry of Object.entries(tokens)) {
    const identity = refreshTokenIdentity(entry[1])
    newest.delete(identity)
    newest.set(identity, entry)
  }
  return Object.fromEntries(newest.values())
}

function isSameRefreshToken(replacement: RefreshToken, token: RefreshToken): boolean {
  return refreshTokenIdentity(replacement) === refreshTokenIdentity(token)
}

/** By its members: MSAL 3 writes a refresh token under another key than MSAL 5 and later, which must not keep both. */
function refreshTokenIdentity(token: RefreshToken): string {
  // What MSAL leaves empty, it may leave out.
  return JSON.stringify(SAME_IN_BOTH_REFRESH_TOKENS.map((member) => token[member] || ''))
}

const SAME_IN_BOTH = [
  'home_account_id',
  'environment',
  'credential_type',
  'client_id',
  'realm',
  'token_type',
  'additionalCacheKeyComponents',
] as const

function replaces(replacement: AccessToken, token: AccessToken): boolean {
  if (!SAME_IN_BOTH.every((member) => isDeepStrictEqual(replacement[member], token[member]))) return false
  const scopes = scopesOf(token)
  return scopesOf(replacement).some((scope) => scopes.includes(scope))
}

/** Tokens for different resources may share these. */
const OIDC_SCOPES = ['openid', 'profile', 'email', 'offline_access']

function scopesOf({ target }: AccessToken): string[] {
  const scopes = target.toLowerCase().split(' ')
  const others = scopes.filter((scope) => !OIDC_SCOPES.includes(scope))
  return others.length > 0 ? others : scopes
}
