import { parseJson } from '../guards.ts'
import { accountKeys, isAccountsTokenRecord } from '../records/key-names.ts'
import type { Release } from '../records/locks.ts'
import type { StoredRecord } from '../records/record.ts'
import type { Records } from '../records/records.ts'
import { type CurrentGeneration, decodeGeneration, isValid } from './generation.ts'

/** What the store held under one key at one moment. */
export interface TokenSnapshot {
  /** The record, if it is valid. */
  readonly record: StoredRecord | undefined
  /** There is a record, and its account was evicted since. */
  readonly isEnded: boolean
  /** What the store says of the generation of the record's account; `none` without an account. */
  readonly current: CurrentGeneration
  /** When a record written on the strength of this snapshot expires at the latest, in epoch milliseconds. */
  readonly expiresAt: number
}

/**
 * Records with tokens apart from the accounts' partitions: an application's own tokens, which belong to no account,
 * and tokens acquired on behalf of a user, which name the generation record of their account and are valid as long as
 * that says so.
 */
export class TokenRecords {
  readonly #records: Records
  readonly #ttl: number

  /** @param ttl milliseconds */
  constructor(records: Records, ttl: number) {
    this.#records = records
    this.#ttl = ttl
  }

  async load(key: string, timeout?: number): Promise<TokenSnapshot> {
    // From before the reads: an eviction that they did not see outlives what is written after them.
    const expiresAt = Date.now() + this.#ttl
    const record = (await this.#records.read([key], timeout)).get(key)
    if (record?.generationKey === undefined) {
      return { record, isEnded: false, current: { kind: 'none' }, expiresAt }
    }
    const { generationKey } = record
    const stored = await this.#records.readRaw([generationKey], timeout)
    const current = decodeGeneration(stored.get(generationKey), generationKey)
    const isEnded = record.generation === undefined || !isValid(record.generation, current)
    return { record: isEnded ? undefined : record, isEnded, current, expiresAt }
  }

  /** As {@link load}, with the record's lock. */
  loadForWrite(key: string): Promise<{ loaded: TokenSnapshot; unlock: Release }> {
    return this.#records.loadForWrite(key, (timeout) => this.load(key, timeout))
  }

  /** A record of an account also stands on the list by which an eviction finds it. */
  async write(record: StoredRecord): Promise<void> {
    if (record.generationKey === undefined) return this.#records.write([record])
    await this.#withList(record.key, record.generationKey, (list, others) =>
      this.#records.write([record, listRecord(list, [...others, record])]),
    )
  }

  /** A record of an account also leaves the list. */
  async delete({ key, generationKey }: Pick<StoredRecord, 'key' | 'generationKey'>): Promise<void> {
    if (generationKey === undefined) return this.#records.delete([key])
    await this.#withList(key, generationKey, async (list, others) => {
      await this.#records.delete(others.length === 0 ? [key, list] : [key])
      if (others.length > 0) await this.#records.write([listRecord(list, others)])
    })
  }

  /** @param change is given the key of the account's list, and all else that is on it */
  async #withList(
    key: string,
    generationKey: string,
    change: (list: string, others: ListedRecord[]) => Promise<void>,
  ): Promise<void> {
    const { list } = accountKeys(generationKey)
    const { loaded, unlock } = await this.#records.loadForWrite(list, (timeout) =>
      this.#records.read([list], timeout),
    )
    try {
      const others = listedRecords(loaded.get(list)).filter((each) => each.key !== key)
      await change(list, others)
    } finally {
      unlock()
    }
  }
}

/** A token record of an account: its key, and when it expires, in epoch milliseconds. */
export interface ListedRecord {
  readonly key: string
  readonly expiresAt: number
}

/** The most that an eviction can find; the oldest go first, and are dead until they expire. */
const MOST_LISTED = 500

/** An account's token records that have not expired; none if the list cannot be read. */
export function listedRecords(list: StoredRecord | undefined): ListedRecord[] {
  const rows = list && parseJson(list.body)
  if (!Array.isArray(rows)) return []
  const now = Date.now()
  return rows.flatMap((row: unknown) => {
    const [key, expiresAt] = Array.isArray(row) ? (row as unknown[]) : []
    // Whatever wrote the list: an eviction deletes nothing else by it.
    const isListed = typeof key === 'string' && isAccountsTokenRecord(key)
    return isListed && typeof expiresAt === 'number' && expiresAt > now ? [{ key, expiresAt }] : []
  })
}

/** @param listed at least one; the last was written last */
export function listRecord(key: string, listed: readonly ListedRecord[]): StoredRecord {
  const kept = listed.slice(-MOST_LISTED)
  const expiresAt = Math.max(...kept.map((each) => each.expiresAt))
  const body = JSON.stringify(kept.map((each) => [each.key, each.expiresAt]))
  return { key, generation: undefined, expiresAt, body }
}
