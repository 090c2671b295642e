import { EvictionError, StoreUnavailableError } from '../errors.ts'
import { Locks, type Release } from '../lock.ts'
import type { AccountKeys, KeyNames } from '../store/key-names.ts'
import type { KeyvStore } from '../store/keyv-store.ts'
import {
  type CurrentGeneration,
  decodeGeneration,
  encodeGeneration,
  GENERATION_LIFETIME,
  isValid,
  newGeneration,
} from './generation.ts'
import { decodeRecord, encodeRecord } from './record.ts'

/** The outcome of an eviction that the store confirmed. */
export interface Eviction {
  homeAccountId: string
  evictedAt: Date
  /** Whether there was a record to delete. */
  existed: boolean
}

/** What the store held for one account at one moment. */
export interface AccountSnapshot {
  /** The account's valid partition. */
  readonly partition: { readonly generation: string; readonly cache: string } | undefined
  readonly current: CurrentGeneration
  /** When a record written on the strength of this snapshot expires, in epoch milliseconds. */
  readonly expiresAt: number
}

/** What to store for one account; without `cache` its record is deleted. */
export interface AccountCommit {
  readonly generation: string
  readonly cache: string | undefined
  readonly expiresAt: number
}

// How much longer than its own expiry the store keeps a partition, for clocks that disagree. Milliseconds.
const STORE_GRACE = 60 * 60 * 1000

/** One partition per account: loads it, commits it, and evicts it for good. */
export class PartitionRepository {
  readonly #store: KeyvStore
  readonly #names: KeyNames
  readonly #ttl: number
  readonly #locks = new Locks<string>(new Map())

  constructor(store: KeyvStore, names: KeyNames, ttl: number) {
    this.#store = store
    this.#names = names
    this.#ttl = ttl
  }

  /**
   * One store call.
   * @throws {StoreUnavailableError}
   */
  async load(homeAccountId: string): Promise<AccountSnapshot> {
    return this.#load(this.#names.account(homeAccountId), this.#store.timeout)
  }

  /**
   * As {@link load}, with the account's lock, so that two writers of this process do not lose each other's tokens.
   * The wait takes at most half of the call's time, and then the writer goes on without the lock.
   * @throws {StoreUnavailableError} without the lock
   */
  async loadForWrite(homeAccountId: string): Promise<{ snapshot: AccountSnapshot; unlock: Release }> {
    const keys = this.#names.account(homeAccountId)
    const start = performance.now()
    const unlock = await this.#locks.acquire(keys.partition, this.#store.timeout / 2)
    try {
      const snapshot = await this.#load(keys, this.#store.timeout - (performance.now() - start))
      return { snapshot, unlock }
    } catch (error) {
      unlock()
      throw error
    }
  }

  async #load(keys: AccountKeys, timeout: number): Promise<AccountSnapshot> {
    const now = Date.now()
    // Partition first: a store that reads one after the other then errs towards "evicted".
    const [partition, generation] = await this.#store.read([keys.partition, keys.generation], timeout)
    const current = decodeGeneration(generation, keys.generation)
    const record = decodeRecord(partition, keys.partition)
    const valid = record !== undefined && record.expiresAt > now && isValid(record.generation, current)
    return {
      partition: valid ? { generation: record.generation, cache: record.body } : undefined,
      current,
      // From before the read: an eviction that the read did not see outlives what is written after it.
      expiresAt: now + this.#ttl,
    }
  }

  /**
   * The generation that a sign-in joins, given what it found.
   * @param known of the host session or an earlier load, when nothing in the store speaks against it
   */
  generationFor({ current, partition }: AccountSnapshot, known?: string): string {
    if (current.kind === 'known') return current.id
    if (current.kind === 'unreadable') return newGeneration()
    return partition?.generation ?? known ?? newGeneration()
  }

  /**
   * One store call.
   * @throws {StoreUnavailableError}
   */
  async commit(homeAccountId: string, { generation, cache, expiresAt }: AccountCommit): Promise<void> {
    const key = this.#names.account(homeAccountId).partition
    if (cache === undefined) {
      await this.#store.delete(key)
    } else {
      const record = encodeRecord({ key, generation, expiresAt, body: cache })
      await this.#store.write(key, record, expiresAt - Date.now() + STORE_GRACE)
    }
  }

  /** Replaces an unreadable generation record, so that a new sign-in can be valid. One store call. */
  async renewGeneration(homeAccountId: string, generation: string): Promise<void> {
    const key = this.#names.account(homeAccountId).generation
    await this.#store.write(key, encodeGeneration(key, generation, Date.now()), GENERATION_LIFETIME)
  }

  /**
   * Two store calls: first a new generation, which invalidates all that was or will be written under an older one,
   * then the deletion of what is dead.
   * @throws {EvictionError}
   */
  async evict(homeAccountId: string): Promise<Eviction> {
    try {
      await this.renewGeneration(homeAccountId, newGeneration())
    } catch (error) {
      throw evictionError(error, false)
    }
    try {
      const existed = await this.#store.delete(this.#names.account(homeAccountId).partition)
      return { homeAccountId, evictedAt: new Date(), existed }
    } catch (error) {
      throw evictionError(error, true)
    }
  }
}

function evictionError(error: unknown, fenced: boolean): unknown {
  return error instanceof StoreUnavailableError ? new EvictionError({ fenced, cause: error }) : error
}
