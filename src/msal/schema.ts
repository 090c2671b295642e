import type { JsonCache } from '@azure/msal-node'
import type { DirectoryUser, ProviderSession } from '../accounts/links.ts'
import { BoundedMap } from '../bounded-map.ts'
import { ConfigurationError } from '../errors.ts'
import { guidOf, isObject, isString, isText, parseJson } from '../guards.ts'
import { claimsOf, readClaims } from '../jwt.ts'
import { digestOf } from '../records/record.ts'

/** MSAL's serialized cache, shared by all MSALs. Sections that this MSAL does not know survive as they are. */
export type SerializedCache = JsonCache & Record<string, unknown>

/** The sections whose entities have an owner. `AppMetadata` belongs to a client, not to an account. */
export const OWNED_SECTIONS = ['Account', 'IdToken', 'AccessToken', 'RefreshToken'] as const
export const CREDENTIAL_SECTIONS = ['IdToken', 'AccessToken', 'RefreshToken'] as const

const SECTIONS: readonly string[] = [...OWNED_SECTIONS, 'AppMetadata']

export function emptyCache(): SerializedCache {
  return { Account: {}, IdToken: {}, AccessToken: {}, RefreshToken: {}, AppMetadata: {} }
}

/** A cache with all five sections, or undefined for a text that is no token cache. */
export function parseCache(json: string): SerializedCache | undefined {
  const value = parseJson(json)
  if (!isObject(value)) return undefined
  const isCache =
    isEntityMap(value.AppMetadata) &&
    OWNED_SECTIONS.every((name) => isEntityMap(value[name], (it) => isEntityOf(name, it)))
  return isCache ? { ...emptyCache(), ...value } : undefined
}

/** MSAL's own text, which is known to be one. */
export function parseSerialized(json: string): SerializedCache {
  const cache = parseCache(json)
  if (cache === undefined)
    throw new ConfigurationError(
      'the token cache that MSAL Node serialized cannot be read: see docs/troubleshooting.md',
    )
  return cache
}

/** The sections that MSAL does not know: it forgets them, so the partition has to carry them over. */
export function unknownSections(cache: SerializedCache): Record<string, unknown> {
  return Object.fromEntries(Object.entries(cache).filter(([name]) => !SECTIONS.includes(name)))
}

export function hasCredentials(cache: SerializedCache): boolean {
  return CREDENTIAL_SECTIONS.some((section) => Object.keys(cache[section]).length > 0)
}

export function countEntities(cache: SerializedCache): number {
  return OWNED_SECTIONS.reduce((count, section) => count + Object.keys(cache[section]).length, 0)
}

export function isEmpty(cache: SerializedCache): boolean {
  return countEntities(cache) === 0
}

/** The identity providers' hosts that a cache has entities of. */
export function environmentsOf(cache: SerializedCache): Set<string> {
  return new Set(OWNED_SECTIONS.flatMap((section) => Object.values(cache[section]).map((e) => e.environment)))
}

function isEntityMap(value: unknown, isEntity: (entity: unknown) => boolean = isObject): boolean {
  if (value === undefined) return true
  return isObject(value) && !Object.hasOwn(value, '__proto__') && Object.values(value).every(isEntity)
}

const CREDENTIAL_MEMBERS = ['home_account_id', 'environment', 'credential_type', 'client_id', 'secret']
/** What MSAL takes for a text without looking. An application's own token has an empty owner. */
const TEXT_MEMBERS: Record<(typeof OWNED_SECTIONS)[number], readonly string[]> = {
  Account: ['home_account_id', 'environment', 'realm', 'local_account_id', 'username', 'authority_type'],
  IdToken: [...CREDENTIAL_MEMBERS, 'realm'],
  AccessToken: [...CREDENTIAL_MEMBERS, 'realm', 'target'],
  RefreshToken: CREDENTIAL_MEMBERS,
}

/** Whether MSAL can read this entity of this section. */
export function isEntityOf(section: (typeof OWNED_SECTIONS)[number], entity: unknown): boolean {
  if (!isObject(entity) || !TEXT_MEMBERS[section].every((member) => isString(entity[member]))) return false
  const { tenantProfiles, token_type = '' } = entity
  // Without these, MSAL does not find the account that it has.
  if (section === 'Account' && (entity.home_account_id === '' || entity.environment === '')) return false
  if (tenantProfiles !== undefined && !areTenantProfiles(tenantProfiles)) return false
  if (!isString(token_type)) return false
  return section !== 'IdToken' || hasTextClaims(readClaims(entity.secret as string))
}

function areTenantProfiles(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isTenantProfile)
}

/** MSAL keeps each as a JSON text, and opens it without looking. */
function isTenantProfile(json: unknown): boolean {
  const profile = isString(json) ? parseJson(json) : undefined
  return isObject(profile) && isString(profile.tenantId)
}

/** The claims of an ID token that MSAL takes for texts without looking. */
const TEXT_CLAIMS = [
  'tid',
  'oid',
  'sub',
  'tfp',
  'acr',
  'name',
  'preferred_username',
  'upn',
  'login_hint',
  'sid',
]

function hasTextClaims(claims: Record<string, unknown> | undefined): boolean {
  return (
    claims !== undefined && TEXT_CLAIMS.every((name) => claims[name] === undefined || isString(claims[name]))
  )
}

/** A text that MSAL can read, in MSAL's own serialization. It is parsed on demand. */
export class Readable {
  readonly text: string
  #cache: SerializedCache | undefined

  constructor(text: string, cache?: SerializedCache) {
    this.text = text
    this.#cache = cache
  }

  get cache(): SerializedCache {
    this.#cache ??= parseSerialized(this.text)
    return this.#cache
  }
}

const MOST_REMEMBERED = 10_000

/**
 * MSAL deserializes anything into something, so every text is checked first (P8). The checksum of a readable one is
 * remembered, since the same text comes again with every call of an account. A forged checksum gains nothing: an
 * attacker who can write a plaintext record can as well write one that MSAL can read.
 */
export class ReadableTexts {
  readonly #remembered = new BoundedMap<true>(MOST_REMEMBERED)

  /** Undefined for what is no token cache, or an empty one. */
  read(text: string): Readable | undefined {
    const digest = digestOf(text)
    if (this.#remembered.has(digest)) return new Readable(text)
    const cache = parseCache(text)
    if (cache === undefined || isEmpty(cache)) return undefined
    this.#remembered.set(digest, true)
    return new Readable(text, cache)
  }
}

/** A cache without refresh tokens that their provider has refused. @param digests of those */
export function withoutRefused(cache: SerializedCache, digests: readonly string[]): SerializedCache {
  const tokens = Object.entries(cache.RefreshToken)
  const kept = tokens.filter(([, { secret }]) => !digests.includes(digestOf(secret)))
  return kept.length === tokens.length ? cache : { ...cache, RefreshToken: Object.fromEntries(kept) }
}

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
