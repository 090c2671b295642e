import type { TokenCache, TokenCacheContext } from '@azure/msal-node'
import { ConfigurationError } from '../errors.ts'
import { Locks, type Release } from '../lock.ts'
import { parseCache, type SerializedCache } from './schema.ts'

type Store = ReturnType<TokenCache['getKVStore']>

/** From a write's load to its commit MSAL does no input or output, so a turn is a matter of microtasks. */
const TURN_PATIENCE = 1000
const MARKER = 'msal-keyv:write'
const APP_METADATA = 'appmetadata-'

const turns = new Locks<TokenCache>(new WeakMap())
// Entities that a load put there, or that were there before the write in progress: not what it acquired.
const settled = new WeakSet<object>()
// How many `runAs` scopes of an account use a memory.
const openScopes = new WeakMap<TokenCache, Map<string, number>>()
let markers = 0

/**
 * MSAL's live memory, through the only door it leaves open: `getKVStore()` returns the live object, and
 * `deserialize` merges into it and removes nothing. MSAL replaces the object at every turn, so it is asked
 * for anew each time.
 */
export class Memory {
  readonly #cache: TokenCache

  /** @throws {ConfigurationError} when the context is not MSAL Node's */
  constructor(context: TokenCacheContext) {
    const cache = context.tokenCache as Partial<TokenCache>
    if (typeof cache.getKVStore !== 'function') {
      throw new ConfigurationError(
        'the cache plugin works with @azure/msal-node only: its token cache has no getKVStore',
      )
    }
    this.#cache = cache as TokenCache
  }

  /** The host's token cache, to tell one client's memory from another's. */
  get identity(): object {
    return this.#cache
  }

  /** Whether it holds the tokens of somebody who is signed in. */
  get holdsAccount(): boolean {
    return Object.values(this.#store).some(
      (entity) => typeof entity === 'object' && 'localAccountId' in entity,
    )
  }

  /** One writer at a time, and no load in between: what is new at a commit is what its own call acquired. */
  takeTurn(): Promise<Release> {
    return turns.acquire(this.#cache, TURN_PATIENCE)
  }

  /**
   * Makes memory hold exactly this partition, or nothing (P2).
   * @param json MSAL's own serialization; false is returned, and nothing shown, for a text that is no token cache
   */
  show(json: string | undefined): boolean {
    this.#remove(() => true)
    return this.#add(json)
  }

  /** As {@link show}, for one account in a memory that others are using. */
  showAccount(homeAccountId: string, json: string | undefined): boolean {
    this.#remove((owner) => owner === homeAccountId)
    return this.#add(json)
  }

  /** Begins a write. Returns the marker by which {@link endWrite} sees whether memory was cleared in between. */
  beginWrite(): string {
    this.#dropSnapshot()
    this.#settle()
    const marker = String(++markers)
    this.#store[MARKER] = marker
    return marker
  }

  /** A scope of this account begins to use this memory. */
  enter(homeAccountId: string): void {
    const scopes = openScopes.get(this.#cache) ?? new Map<string, number>()
    openScopes.set(this.#cache, scopes.set(homeAccountId, (scopes.get(homeAccountId) ?? 0) + 1))
  }

  /** A scope ends, in a turn of its own: with the account's last one, what it left is forgotten. */
  leave(homeAccountId: string): void {
    const scopes = openScopes.get(this.#cache)
    const open = (scopes?.get(homeAccountId) ?? 1) - 1
    if (open > 0) {
      scopes?.set(homeAccountId, open)
    } else {
      scopes?.delete(homeAccountId)
      this.#remove((owner, entity) => owner === homeAccountId && settled.has(entity))
    }
  }

  /**
   * Ends a write: what memory holds, what of it the write acquired, and whether all of it is there. MSAL clears the
   * memory of a client at the start of every `acquireTokenSilent`, also under another call's write.
   */
  endWrite(marker: string): { all: SerializedCache; acquired: SerializedCache; intact: boolean } {
    const intact = this.#store[MARKER] === marker
    delete this.#store[MARKER]
    const all = this.#serialize()
    const entities = this.#store
    const isNew = (key: string) => {
      const entity = entities[key]
      return typeof entity === 'object' && !settled.has(entity)
    }
    const acquired = Object.fromEntries(
      Object.entries(all).map(([name, section]) => [
        name,
        Object.fromEntries(Object.entries(section as object).filter(([key]) => isNew(key))),
      ]),
    ) as SerializedCache
    return { all, acquired, intact }
  }

  /** Forgets what the write that just ended acquired, but for one account's. */
  forgetAcquired(except?: string): void {
    this.#remove((owner, entity) => !settled.has(entity) && (owner === undefined || owner !== except))
    this.#settle()
  }

  get #store(): Store {
    return this.#cache.getKVStore()
  }

  #serialize(): SerializedCache {
    const cache = parseCache(this.#cache.serialize())
    if (cache === undefined) throw new ConfigurationError('MSAL Node serialized what is no token cache')
    return cache
  }

  #add(json: string | undefined): boolean {
    if (json !== undefined) this.#settle()
    try {
      if (json === undefined) return true
      this.#cache.deserialize(json)
      return this.#keepOwned()
    } catch {
      return false
    } finally {
      this.#dropSnapshot()
      this.#settle()
    }
  }

  /** MSAL deserializes anything into something. What does not say whose it is was none of a token cache. */
  #keepOwned(): boolean {
    const store = this.#store
    const added = Object.entries(store).filter(
      (entry): entry is [string, Exclude<Store[string], string>] =>
        typeof entry[1] === 'object' && !settled.has(entry[1]),
    )
    const owned = added.filter(([key]) => !key.startsWith(APP_METADATA))
    if (owned.length > 0 && owned.every(([, entity]) => isWellFormed(entity))) return true
    for (const [key] of added) delete store[key]
    return false
  }

  /** MSAL keeps what it deserialized last, and would bring it back after an eviction. */
  #dropSnapshot(): void {
    this.#cache.deserialize('')
  }

  /** From here on nothing that is there counts as acquired. */
  #settle(): void {
    for (const entity of Object.values(this.#store)) {
      if (typeof entity === 'object') settled.add(entity)
    }
  }

  /** Removes accounts, credentials and app metadata; authority metadata, telemetry and throttling stay. */
  #remove(isMeant: (owner: string | undefined, entity: object) => boolean): void {
    const store = this.#store
    for (const [key, entity] of Object.entries(store)) {
      if (typeof entity !== 'object') continue
      const owner = ownerOf(entity)
      const isOwned = owner !== undefined || key.startsWith(APP_METADATA)
      if (isOwned && isMeant(owner, entity)) delete store[key]
    }
  }
}

const ACCOUNT_MEMBERS = [
  'homeAccountId',
  'environment',
  'realm',
  'localAccountId',
  'username',
  'authorityType',
]
const CREDENTIAL_MEMBERS = ['homeAccountId', 'environment', 'credentialType', 'clientId', 'secret']

/** As `parseCache` asks of what is serialized: MSAL takes these for texts without looking. */
function isWellFormed(entity: object): boolean {
  const isText = (member: string) => typeof Reflect.get(entity, member) === 'string'
  const hasTokenType = Reflect.get(entity, 'tokenType') !== undefined
  return membersOf(entity).every(isText) && (!hasTokenType || isText('tokenType'))
}

function membersOf(entity: object): string[] {
  if (!('secret' in entity)) return ACCOUNT_MEMBERS
  const type: unknown = Reflect.get(entity, 'credentialType')
  if (type === 'RefreshToken') return CREDENTIAL_MEMBERS
  return [...CREDENTIAL_MEMBERS, 'realm', ...(type === 'IdToken' ? [] : ['target'])]
}

/** Empty for an application's own tokens. */
function ownerOf(entity: Store[string]): string | undefined {
  const isOwned = typeof entity === 'object' && 'homeAccountId' in entity
  return isOwned && typeof entity.homeAccountId === 'string' ? entity.homeAccountId : undefined
}
