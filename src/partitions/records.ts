import { report } from '../diagnostics.ts'
import { Locks, type Release } from '../lock.ts'
import type { KeyvStore } from '../store/keyv-store.ts'
import type { Sealing } from '../store/sealing.ts'
import {
  type CurrentGeneration,
  decodeGeneration,
  encodeGeneration,
  GENERATION_LIFETIME,
} from './generation.ts'
import { decodeRecord, encodeRecord, type StoredRecord } from './record.ts'

// How much longer than its own expiry the store keeps a record, for clocks that disagree. Milliseconds.
const STORE_GRACE = 60 * 60 * 1000

/** The records in the store: all of them are read and written here. */
export class Records {
  readonly #store: KeyvStore
  readonly #sealing: Sealing
  readonly #locks = new Locks<string>(new Map())

  constructor(store: KeyvStore, sealing: Sealing) {
    this.#store = store
    this.#sealing = sealing
  }

  /** The record, unless it is expired or none of this key. One store call. */
  async read(key: string, timeout?: number): Promise<StoredRecord | undefined> {
    const [value] = await this.#store.read([key], timeout)
    return this.#open(value, key)
  }

  /** As {@link read}, for many. One store call. */
  async readAll(keys: readonly string[]): Promise<Map<string, StoredRecord>> {
    return this.#openAll(keys, keys.length === 0 ? [] : await this.#store.read(keys))
  }

  /** One store call. */
  async readGeneration(key: string, timeout?: number): Promise<CurrentGeneration> {
    const [value] = await this.#store.read([key], timeout)
    return generationOf(value, key)
  }

  /** As {@link read}, with a generation record, and with `others`. One store call. */
  async readWithGeneration(
    key: string,
    generationKey: string,
    others: readonly string[],
    timeout?: number,
  ): Promise<{
    record: StoredRecord | undefined
    current: CurrentGeneration
    others: Map<string, StoredRecord>
  }> {
    // The record first: a store that reads one after the other then errs towards "evicted".
    const values = await this.#store.read([key, generationKey, ...others], timeout)
    const [value, generation, ...rest] = values
    return {
      record: this.#open(value, key),
      current: generationOf(generation, generationKey),
      others: this.#openAll(others, rest),
    }
  }

  /**
   * Loads with the record's lock, so that two writers of this process do not lose each other's tokens. The wait takes
   * at most half of the call's time, and then the writer goes on without the lock.
   * @param load is given the milliseconds that are left
   */
  async loadForWrite<Snapshot>(
    key: string,
    load: (timeout: number) => Promise<Snapshot>,
  ): Promise<{ snapshot: Snapshot; unlock: Release }> {
    const start = performance.now()
    const unlock = await this.#locks.acquire(key, this.#store.timeout / 2)
    try {
      return {
        snapshot: await load(
          Math.max(this.#store.timeout / 2, this.#store.timeout - (performance.now() - start)),
        ),
        unlock,
      }
    } catch (error) {
      unlock()
      throw error
    }
  }

  /** One store call. */
  write(record: StoredRecord): Promise<void> {
    const { key, value, ttl } = this.#entry(record)
    return this.#store.write(key, value, ttl)
  }

  /** One store call. */
  writeAll(records: readonly StoredRecord[]): Promise<void> {
    const [record, ...more] = records
    if (record !== undefined && more.length === 0) return this.write(record)
    return this.#store.writeAll(records.map((each) => this.#entry(each)))
  }

  /** One store call; more where the store has to be asked whether it was done. */
  writeGeneration(key: string, generation: string): Promise<void> {
    return this.#store.writeConfirmed(key, encodeGeneration(key, generation, Date.now()), GENERATION_LIFETIME)
  }

  /** One store call. True when the store says that there was something to delete. */
  delete(key: string): Promise<boolean> {
    return this.#store.delete(key)
  }

  #entry(record: StoredRecord): { key: string; value: string; ttl: number } {
    const value = this.#sealing.seal(encodeRecord(record), record.key)
    return { key: record.key, value, ttl: record.expiresAt - Date.now() + STORE_GRACE }
  }

  #openAll(keys: readonly string[], values: readonly unknown[]): Map<string, StoredRecord> {
    const records = new Map<string, StoredRecord>()
    for (const [index, key] of keys.entries()) {
      const record = this.#open(values[index], key)
      if (record !== undefined) records.set(key, record)
    }
    return records
  }

  /** What cannot be read counts as absent, is reported, and is left where it is (P8). */
  #open(value: unknown, key: string): StoredRecord | undefined {
    if (value === undefined) return undefined
    const opened = this.#sealing.open(value, key)
    const record = 'unreadable' in opened ? opened : decodeRecord(opened.plaintext, key)
    const defect = 'unreadable' in record ? record.unreadable : hasExpired(record)
    // The others expire as a matter of course, some of them every hour.
    const isNews = defect !== undefined && (defect !== 'expired' || key.endsWith('_p'))
    if (isNews) report('msal-keyv:unreadable-record', { key, reason: defect })
    return defect === undefined && !('unreadable' in record) ? record : undefined
  }
}

function generationOf(value: unknown, key: string): CurrentGeneration {
  const current = decodeGeneration(value, key)
  if (current.kind === 'unreadable') report('msal-keyv:unreadable-record', { key, reason: current.reason })
  return current
}

function hasExpired(record: StoredRecord): 'expired' | undefined {
  return record.expiresAt > Date.now() ? undefined : 'expired'
}
