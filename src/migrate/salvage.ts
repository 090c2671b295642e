import { isObject, parseJson } from '../guards.ts'
import { newestRefreshTokens } from '../msal/merge.ts'
import { emptyCache, isEntityOf, OWNED_SECTIONS, type SerializedCache } from '../msal/schema.ts'
import { NO_OWNER, splitByOwner } from '../msal/split.ts'

/** What a serialized cache, of any origin, holds of an application's users. */
export interface Salvaged {
  readonly accounts: ReadonlyMap<string, SalvagedAccount>
  /**
   * How many entities are of no user of this application: tokens of other client ids and of applications, tokens that
   * were acquired on behalf of a user, and what MSAL could not read.
   */
  readonly dropped: number
}

export interface SalvagedAccount {
  readonly cache: SerializedCache
  /** Its access tokens were all acquired on behalf of the user, so that its refresh token may be of that kind too. */
  readonly isOnBehalfOf: boolean
}

type Section = (typeof OWNED_SECTIONS)[number]
type Entity = Record<string, unknown>

/** How many levels an entity may have. MSAL writes two. */
const DEEPEST = 16

/** Undefined for a text that is no token cache. */
export function salvage(serialized: string, clientId: string): Salvaged | undefined {
  const sections = readSections(serialized)
  if (sections === undefined) return undefined
  const kept = emptyCache()
  let dropped = 0
  for (const section of OWNED_SECTIONS) {
    for (const [key, entity] of Object.entries(sections[section] ?? {})) {
      if (key !== '__proto__' && isUsers(section, entity, clientId))
        Object.assign(kept[section], { [key]: entity })
      else dropped++
    }
  }
  // One for each provider is all that MSAL has: each account gets a copy.
  const metadata = new Map<unknown, [key: string, entity: unknown]>()
  for (const [key, entity] of Object.entries(sections.AppMetadata ?? {})) {
    if (key !== '__proto__' && isOf(clientId, entity) && isFlat(entity))
      metadata.set(entity.environment, [key, entity])
  }
  Object.assign(kept.AppMetadata, Object.fromEntries(metadata.values()))
  const accounts = new Map<string, SalvagedAccount>()
  for (const [homeAccountId, part] of splitByOwner(kept)) {
    const tokens = Object.entries(part.AccessToken)
    const own = tokens.filter(([, token]) => token.userAssertionHash === undefined)
    dropped += tokens.length - own.length
    accounts.set(homeAccountId, {
      cache: {
        ...part,
        AccessToken: Object.fromEntries(own),
        RefreshToken: newestRefreshTokens(part.RefreshToken),
      },
      isOnBehalfOf: tokens.length > 0 && own.length === 0,
    })
  }
  return { accounts, dropped }
}

function readSections(serialized: string): Partial<Record<Section | 'AppMetadata', Entity>> | undefined {
  const value = parseJson(serialized)
  if (!isObject(value)) return undefined
  const sections = [...OWNED_SECTIONS, 'AppMetadata'].map((name) => value[name])
  const given = sections.filter((section) => section !== undefined)
  // Another JSON document must not pass for a cache in which nobody is.
  const isCache = given.length > 0 || Object.keys(value).length === 0
  return isCache && given.every(isObject) ? value : undefined
}

function isUsers(section: Section, entity: unknown, clientId: string): boolean {
  if (!isEntityOf(section, entity) || (entity as Entity).home_account_id === NO_OWNER) return false
  if (!isFlat(entity)) return false
  return section === 'Account' || isOf(clientId, entity)
}

function isOf(clientId: string, entity: unknown): entity is Entity {
  return isObject(entity) && entity.client_id === clientId
}

/** MSAL's entities are flat. What is nested deeper than any JSON writer goes would end the import. */
function isFlat(value: unknown, depth = DEEPEST): boolean {
  if (typeof value !== 'object' || value === null) return true
  return depth > 0 && Object.values(value).every((member) => isFlat(member, depth - 1))
}
