import { AsyncLocalStorage } from 'node:async_hooks'
import { isDeepStrictEqual } from 'node:util'
import type { TokenCache, TokenCacheContext } from '@azure/msal-node'
import { Locks, type Release } from '../records/locks.ts'
import { checkContract, checkMethods, hasMark, markedCache, withoutMarks } from './contract.ts'
import { emptyCache, OWNED_SECTIONS, parseSerialized, type SerializedCache } from './schema.ts'

/** From a write's load to its commit MSAL does no input or output, so a turn is a matter of microtasks. */
const TURN_PATIENCE = 1000

const APP_METADATA = 'appmetadata'

const turns = new Locks<TokenCache>(new WeakMap())
const emptying = new AsyncLocalStorage<TokenCache>()
let marks = 0

/**
 * Whether MSAL calls the plugin only because a {@link Turn} empties this memory: there is nothing to load.
 *
 * By asynchronous context, since a host's own plugin may pass the call on later.
 */
export function isBeingEmptied({ tokenCache }: TokenCacheContext): boolean {
  return emptying.getStore() === tokenCache
}

/** Whether memory holds the account of a signed-in user. */
export function holdsAccount({ tokenCache }: TokenCacheContext): boolean {
  const entities = Object.values(checkMethods(tokenCache).getKVStore())
  return entities.some((entity) => typeof entity === 'object' && 'localAccountId' in entity)
}

/** What MSAL did to its memory between a write's load and its commit. */
export interface Changes {
  /** All that memory holds. */
  readonly all: SerializedCache
  /** What is new in it, and the accounts that it is of. */
  readonly acquired: SerializedCache
  /** False where MSAL cleared memory in between, as it does at the start of every `acquireTokenSilent`. */
  readonly isIntact: boolean
  /** Whether MSAL changed anything at all. */
  readonly hasChanged: boolean
}

/**
 * A turn of one writer, or of one load, in the memory of an MSAL client. What is new at the end of a write is then
 * what its own call acquired.
 *
 * It uses MSAL's documented contract only: `deserialize` adds, `serialize` copies, and `overwriteCache` clears before
 * it asks the plugin again.
 */
export class Turn {
  readonly #cache: TokenCache
  readonly #release: Release
  #shown: string | undefined
  #mark = ''
  #before: SerializedCache | undefined

  private constructor(cache: TokenCache, release: Release) {
    this.#cache = cache
    this.#release = release
  }

  /**
   * Waits for the turn of those before. Release it in the end.
   * @throws {ConfigurationError} when the context is not of MSAL Node, or of one that breaks its contract
   */
  static async take({ tokenCache }: TokenCacheContext): Promise<Turn> {
    const cache = checkMethods(tokenCache)
    const release = await turns.acquire(cache, TURN_PATIENCE)
    try {
      await checkContract(cache, (run) => emptying.run(cache, run))
      return new Turn(cache, release)
    } catch (error) {
      release()
      throw error
    }
  }

  /** Calling it again does nothing. */
  release(): void {
    this.#release()
  }

  /**
   * Makes memory hold exactly this, or nothing (P2).
   * @param serialized what MSAL can read, in MSAL's own serialization
   */
  async show(serialized: string | undefined): Promise<void> {
    await this.#clear()
    this.#add(serialized)
    this.#shown = serialized
  }

  /** As {@link show}; from then on, what is new counts as acquired. */
  async beginWrite(serialized: string | undefined): Promise<void> {
    await this.#clear()
    this.#add(serialized)
    this.#shown = serialized
    // In the same step: clearing the memory from here on clears the mark with it.
    this.watch()
  }

  /** From here on, what is new in memory as it is counts as acquired. */
  watch(): void {
    this.#mark = String(++marks)
    this.#add(markedCache(this.#mark))
    this.#before = parseSerialized(this.#cache.serialize())
  }

  /** What has changed since {@link beginWrite} or {@link watch}. */
  endWrite(): Changes {
    const hasChanged = this.#cache.hasChanged()
    const after = parseSerialized(this.#cache.serialize())
    const all = withoutMarks(after)
    return {
      all,
      acquired: acquiredBetween(this.#before ?? all, all),
      isIntact: hasMark(after, this.#mark),
      hasChanged,
    }
  }

  /** Forgets what the write acquired: memory holds what it held before. */
  async forgetAcquired(): Promise<void> {
    await this.show(this.#shown)
  }

  async #clear(): Promise<void> {
    // A client that is made for one call has nothing to clear.
    if (this.#isEmpty) return
    this.#dropSnapshot()
    await emptying.run(this.#cache, () => this.#cache.overwriteCache())
  }

  get #isEmpty(): boolean {
    const entries = Object.entries(this.#cache.getKVStore())
    return !entries.some(
      ([key, entity]) =>
        typeof entity === 'object' && ('homeAccountId' in entity || key.startsWith(APP_METADATA)),
    )
  }

  #add(serialized: string | undefined): void {
    if (serialized !== undefined) this.#cache.deserialize(serialized)
    this.#dropSnapshot()
  }

  /** MSAL keeps what it deserialized last, and would bring it back after an eviction. */
  #dropSnapshot(): void {
    this.#cache.deserialize('')
  }
}

/**
 * What a call acquired: the entities that are new or another than before, the accounts that they are of, and all app
 * metadata.
 */
export function acquiredBetween(before: SerializedCache, after: SerializedCache): SerializedCache {
  const acquired: SerializedCache = { ...emptyCache(), AppMetadata: after.AppMetadata }
  const owners = new Set<string>()
  for (const section of OWNED_SECTIONS) {
    for (const [key, entity] of Object.entries(after[section])) {
      if (isDeepStrictEqual(before[section][key], entity)) continue
      Object.assign(acquired[section], { [key]: entity })
      owners.add(entity.home_account_id)
    }
  }
  for (const [key, account] of Object.entries(after.Account)) {
    if (owners.has(account.home_account_id)) acquired.Account[key] = account
  }
  return acquired
}
