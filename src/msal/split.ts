import { mergeCaches } from './merge.ts'
import { emptyCache, environmentsOf, OWNED_SECTIONS, type SerializedCache } from './schema.ts'

/** The owner of what MSAL stored without one: app tokens, and OIDC responses that name no user. */
export const NO_OWNER = ''

/** One cache per owner. `AppMetadata` goes to every owner that has an account at its provider. */
export function splitByOwner(cache: SerializedCache): Map<string, SerializedCache> {
  const owners = new Map<string, SerializedCache>()
  for (const section of OWNED_SECTIONS) {
    for (const [key, entity] of Object.entries(cache[section])) {
      const owner = entity.home_account_id
      const part = owners.get(owner) ?? emptyCache()
      owners.set(owner, part)
      Object.assign(part[section], { [key]: entity })
    }
  }
  for (const part of owners.values()) {
    const environments = environmentsOf(part)
    for (const [key, entity] of Object.entries(cache.AppMetadata)) {
      if (environments.has(entity.environment)) part.AppMetadata[key] = entity
    }
  }
  return owners
}

/** What is an account's own, what names no account, and what is of other accounts. */
export function divide(
  cache: SerializedCache,
  homeAccountId: string,
): { own: SerializedCache; unnamed: SerializedCache; others: SerializedCache } {
  const parts = splitByOwner(cache)
  const own = parts.get(homeAccountId) ?? emptyCache()
  const unnamed = parts.get(NO_OWNER) ?? emptyCache()
  parts.delete(homeAccountId)
  parts.delete(NO_OWNER)
  return { own, unnamed, others: [...parts.values()].reduce(mergeCaches, emptyCache()) }
}

/** Without these entities. */
export function withoutEntities(cache: SerializedCache, entities: SerializedCache): SerializedCache {
  const rest = { ...cache }
  for (const section of OWNED_SECTIONS) {
    const others = Object.entries(cache[section]).filter(([key]) => !Object.hasOwn(entities[section], key))
    Object.assign(rest, { [section]: Object.fromEntries(others) })
  }
  return rest
}

/** Whether all entities are of this account. */
export function isOnlyOf(homeAccountId: string, cache: SerializedCache): boolean {
  const entities = OWNED_SECTIONS.flatMap((section) => Object.values(cache[section]))
  return entities.every((entity) => entity.home_account_id === homeAccountId)
}

// MSAL asks for these in every flow of a user, and in none of an app.
const USER_SCOPES = new Set(['openid', 'profile', 'offline_access'])

/**
 * Gives an account what a refresh brought for it without naming it, as OpenID providers may: a response without
 * `id_token` and `client_info`.
 *
 * It looks like an app token, and an app token must not become a user's: without a refresh token and a scope that only
 * a user's request has, it is not adopted.
 */
export function adoptOwnerless(ownerless: SerializedCache, homeAccountId: string): SerializedCache {
  const adopted = emptyCache()
  const refreshed = Object.keys(ownerless.RefreshToken).length > 0
  const tokens = Object.entries(ownerless.AccessToken).filter(
    ([, { target }]) => refreshed || hasUserScope(target),
  )
  for (const [key, token] of tokens) {
    adopted.AccessToken[ownedKey(key, homeAccountId)] = { ...token, home_account_id: homeAccountId }
  }
  for (const [key, token] of Object.entries(ownerless.RefreshToken)) {
    adopted.RefreshToken[ownedKey(key, homeAccountId)] = { ...token, home_account_id: homeAccountId }
  }
  return adopted
}

/** Whether entities that name no owner were still acquired for a user. */
export function isUsers(ownerless: SerializedCache): boolean {
  const { Account, IdToken, RefreshToken, AccessToken } = ownerless
  const nonApp = [Account, IdToken, RefreshToken].some((section) => Object.keys(section).length > 0)
  return nonApp || Object.values(AccessToken).some(({ target }) => hasUserScope(target))
}

/** Whether this is the answer to an on-behalf-of request: tokens for an incoming assertion, not for a sign-in. */
export function isOnBehalfOf(acquired: SerializedCache): boolean {
  return Object.values(acquired.AccessToken).some((token) => token.userAssertionHash !== undefined)
}

function hasUserScope(target: string): boolean {
  return target.split(' ').some((scope) => USER_SCOPES.has(scope))
}

/** A credential's key begins with its owner in lower case, and an ownerless one with the separator that follows. */
function ownedKey(key: string, homeAccountId: string): string {
  return `${homeAccountId.toLowerCase()}${key}`
}
