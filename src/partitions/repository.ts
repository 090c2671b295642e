import { trace } from '../diagnostics.ts'
import { AccountEvictedError, EvictionError, StoreUnavailableError } from '../errors.ts'
import type { Release } from '../lock.ts'
import type { AccountKeys, KeyNames } from '../store/key-names.ts'
import { type Assertion, isIssuedBefore } from './assertion.ts'
import { type CurrentGeneration, isValid, newGeneration } from './generation.ts'
import type { StoredRecord } from './record.ts'
import type { Records } from './records.ts'

/** The outcome of an eviction that the store confirmed. */
export interface Eviction {
  homeAccountId: string
  evictedAt: Date
  /** Whether there was a record to delete. */
  existed: boolean
}

/** An account's valid partition. */
export interface AccountPartition {
  readonly generation: string
  /** MSAL's own JSON. */
  readonly cache: string
  /** The keys of the session links that lead to it. */
  readonly sessions: readonly string[]
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

/** What the store held for one account at one moment. */
export interface AccountSnapshot {
  /** The account's valid partition. */
  readonly partition: AccountPartition | undefined
  readonly current: CurrentGeneration
  /** The other records that were asked for, as far as they are there. */
  readonly others: ReadonlyMap<string, StoredRecord>
  /** When a record written on the strength of this snapshot expires, in epoch milliseconds. */
  readonly expiresAt: number
}

/** What to store for one account. */
export interface AccountCommit {
  readonly generation: string
  readonly cache: string
  readonly expiresAt: number
  readonly sessions: readonly string[]
  /** Records to write in the same store call. */
  readonly alongside: readonly StoredRecord[]
}

/** One partition per account: loads it, commits it, and evicts it for good. */
export class PartitionRepository {
  readonly #records: Records
  readonly #names: KeyNames
  readonly #ttl: number

  constructor(records: Records, names: KeyNames, ttl: number) {
    this.#records = records
    this.#names = names
    this.#ttl = ttl
  }

  /**
   * One store call.
   * @throws {StoreUnavailableError}
   */
  async load(homeAccountId: string): Promise<AccountSnapshot> {
    return this.#load(this.#names.account(homeAccountId), [])
  }

  /**
   * As {@link load}, with the account's lock.
   * @param others keys of further records to read in the same store call
   * @throws {StoreUnavailableError} without the lock
   */
  async loadForWrite(
    homeAccountId: string,
    others: readonly string[] = [],
  ): Promise<{ snapshot: AccountSnapshot; unlock: Release }> {
    const keys = this.#names.account(homeAccountId)
    return this.#records.loadForWrite(keys.partition, (timeout) => this.#load(keys, others, timeout))
  }

  /** What the account is called in diagnostics: the name of its record. */
  keyOf(homeAccountId: string): string {
    return this.#names.account(homeAccountId).partition
  }

  #load(keys: AccountKeys, more: readonly string[], timeout?: number): Promise<AccountSnapshot> {
    return trace(
      'msal-keyv:load',
      { key: keys.partition },
      () => this.#read(keys, more, timeout),
      ({ partition }) => ({ found: partition !== undefined }),
    )
  }

  async #read(keys: AccountKeys, more: readonly string[], timeout?: number): Promise<AccountSnapshot> {
    // From before the read: an eviction that the read did not see outlives what is written after it.
    const expiresAt = Date.now() + this.#ttl
    const { record, current, others } = await this.#records.readWithGeneration(
      keys.partition,
      keys.generation,
      more,
      timeout,
    )
    const generation = record?.generation
    const valid = record !== undefined && generation !== undefined && isValid(generation, current)
    if (!valid) return { partition: undefined, current, others, expiresAt }
    const { body: cache, sessions = [] } = record
    const partition = { generation, cache, sessions, expiresAt: record.expiresAt }
    return { partition, current, others, expiresAt }
  }

  /**
   * Whether a sign-in is the one of now. One store call.
   * @throws {StoreUnavailableError}
   */
  async isCurrent(homeAccountId: string, generation: string): Promise<boolean> {
    const { partition, current } = await this.load(homeAccountId)
    // Without a record that can be read here there may be one all the same, or a refresh in flight that writes one.
    return partition === undefined ? isValid(generation, current) : partition.generation === generation
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
   * What a record of tokens acquired for this assertion is valid under. One store call.
   *
   * An unreadable generation record does not say when the eviction was: it is replaced, and so was now.
   * @param stored the generation of the valid record that the tokens join, if there is one
   * @throws {AccountEvictedError} when the assertion was issued before the account's eviction
   * @throws {StoreUnavailableError}
   */
  async generationForAssertion(
    homeAccountId: string,
    assertion: Assertion,
    stored: string | undefined,
  ): Promise<string> {
    const snapshot = await this.load(homeAccountId)
    const { current, partition } = snapshot
    if (current.kind === 'none') return stored ?? partition?.generation ?? newGeneration()
    if (current.kind === 'unreadable') await this.renewGeneration(homeAccountId, this.generationFor(snapshot))
    else if (!isIssuedBefore(assertion, current.evictedAt)) return current.id
    throw new AccountEvictedError()
  }

  /**
   * One store call.
   * @throws {StoreUnavailableError}
   */
  async commit(homeAccountId: string, commit: AccountCommit): Promise<void> {
    const key = this.#names.account(homeAccountId).partition
    const { generation, cache, expiresAt, sessions, alongside } = commit
    const records = [{ key, generation, sessions, expiresAt, body: cache }, ...alongside]
    await trace('msal-keyv:commit', { key }, () => this.#records.writeAll(records))
  }

  /**
   * Deletes a partition that holds no token any more. One store call.
   * @throws {StoreUnavailableError}
   */
  async remove(homeAccountId: string): Promise<void> {
    await this.#records.delete(this.#names.account(homeAccountId).partition)
  }

  /** Replaces an unreadable generation record, so that a new sign-in can be valid. One store call. */
  async renewGeneration(homeAccountId: string, generation: string): Promise<void> {
    await this.#records.writeGeneration(this.#names.account(homeAccountId).generation, generation)
  }

  /**
   * Two store calls: first a new generation, which invalidates all that was or will be written under an older one,
   * then the deletion of what is dead.
   * @throws {EvictionError}
   */
  async evict(homeAccountId: string): Promise<Eviction> {
    return trace(
      'msal-keyv:evict',
      { key: this.keyOf(homeAccountId) },
      () => this.#evict(homeAccountId),
      ({ existed }) => ({ existed }),
    )
  }

  async #evict(homeAccountId: string): Promise<Eviction> {
    try {
      await this.renewGeneration(homeAccountId, newGeneration())
    } catch (error) {
      throw evictionError(error, false)
    }
    try {
      const existed = await this.#records.delete(this.#names.account(homeAccountId).partition)
      return { homeAccountId, evictedAt: new Date(), existed }
    } catch (error) {
      throw evictionError(error, true)
    }
  }
}

function evictionError(error: unknown, fenced: boolean): unknown {
  return error instanceof StoreUnavailableError ? new EvictionError({ fenced, cause: error }) : error
}
