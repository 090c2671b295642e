import type { Release } from '../lock.ts'
import type { KeyNames } from '../store/key-names.ts'
import { isValid } from './generation.ts'
import type { StoredRecord } from './record.ts'
import type { Records } from './records.ts'

/** What the store held under one key at one moment. */
export interface TokenSnapshot {
  /** The record, if it is valid. */
  readonly record: StoredRecord | undefined
  /** There is a record, of an account evicted since, at `at` epoch milliseconds where that is known. */
  readonly ended: { readonly at: number | undefined } | undefined
  /** When a record written on the strength of this snapshot expires at the latest, in epoch milliseconds. */
  readonly expiresAt: number
}

/**
 * Records apart from the accounts' partitions: an application's own tokens, which belong to no account, and tokens
 * acquired on behalf of a user, which name the generation record of their account and are valid as long as that
 * says so.
 */
export class TokenRecordRepository {
  readonly #records: Records
  readonly #names: KeyNames
  readonly #ttl: number

  constructor(records: Records, names: KeyNames, ttl: number) {
    this.#records = records
    this.#names = names
    this.#ttl = ttl
  }

  /**
   * One store call, and one more where the record belongs to an account.
   * @throws {StoreUnavailableError}
   */
  async load(key: string, timeout?: number): Promise<TokenSnapshot> {
    // From before the reads: an eviction that they did not see outlives what is written after them.
    const expiresAt = Date.now() + this.#ttl
    const record = await this.#records.read(key, timeout)
    if (record?.owner === undefined) return { record, ended: undefined, expiresAt }
    const current = await this.#records.readGeneration(record.owner, timeout)
    if (record.generation !== undefined && isValid(record.generation, current)) {
      return { record, ended: undefined, expiresAt }
    }
    return {
      record: undefined,
      ended: { at: current.kind === 'known' ? current.evictedAt : undefined },
      expiresAt,
    }
  }

  /**
   * As {@link load}, with the record's lock.
   * @throws {StoreUnavailableError} without the lock
   */
  loadForWrite(key: string): Promise<{ snapshot: TokenSnapshot; unlock: Release }> {
    return this.#records.loadForWrite(key, (timeout) => this.load(key, timeout))
  }

  /** What a record names its account by. */
  ownerOf(homeAccountId: string): string {
    return this.#names.account(homeAccountId).generation
  }

  /**
   * One store call.
   * @throws {StoreUnavailableError}
   */
  write(record: StoredRecord): Promise<void> {
    return this.#records.write(record)
  }

  /**
   * One store call.
   * @throws {StoreUnavailableError}
   */
  async delete(key: string): Promise<void> {
    await this.#records.delete(key)
  }
}
