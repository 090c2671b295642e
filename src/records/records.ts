import { report, type UnreadableRecordReason } from '../diagnostics.ts'
import type { KeyvStore } from '../store/keyv-store.ts'
import { isPartitionKey } from './key-names.ts'
import { Locks, type Release } from './locks.ts'
import { decodeRecord, encodeRecord, type StoredRecord } from './record.ts'
import type { Sealing } from './sealing.ts'

// How much longer than its own expiry the store keeps a record, for clocks that disagree. Milliseconds.
const STORE_GRACE = 60 * 60 * 1000

/** What the store holds under a key. */
export type Found =
  | { readonly kind: 'absent' }
  | { readonly kind: 'record'; readonly record: StoredRecord }
  /** Something that cannot be read here. It yields nothing (P8). */
  | { readonly kind: 'unreadable' }

/** The records in the store, coded and sealed: all of them are read and written here. */
export class Records {
  readonly #store: KeyvStore
  readonly #sealing: Sealing
  readonly #locks = new Locks<string>(new Map())

  constructor(store: KeyvStore, sealing: Sealing) {
    this.#store = store
    this.#sealing = sealing
  }

  /** What the store holds under each key, as it is. */
  async readRaw(keys: readonly string[], timeout?: number): Promise<ReadonlyMap<string, unknown>> {
    const values = keys.length === 0 ? [] : await this.#store.read(keys, timeout)
    return new Map(keys.map((key, index) => [key, values[index]]))
  }

  /** Those of the records that can be read, by their keys. */
  async read(keys: readonly string[], timeout?: number): Promise<Map<string, StoredRecord>> {
    return this.openAll(keys, await this.readRaw(keys, timeout))
  }

  /**
   * Loads with the record's lock, so that two writers of this process do not lose each other's tokens. The wait takes
   * at most half of the call's time, and then the writer goes on without the lock.
   * @param load is given the milliseconds that are left
   */
  async loadForWrite<Loaded>(
    key: string,
    load: (timeout: number) => Promise<Loaded>,
  ): Promise<{ loaded: Loaded; unlock: Release }> {
    const start = performance.now()
    const half = this.#store.timeout / 2
    const unlock = await this.#locks.acquire(key, half)
    try {
      return { loaded: await load(Math.max(half, 2 * half - (performance.now() - start))), unlock }
    } catch (error) {
      unlock()
      throw error
    }
  }

  write(records: readonly StoredRecord[]): Promise<void> {
    const now = Date.now()
    return this.#store.writeAll(
      records.map((record) => ({
        key: record.key,
        value: this.#sealing.seal(encodeRecord(record), record.key),
        ttl: record.expiresAt - now + STORE_GRACE,
      })),
    )
  }

  /**
   * Records that are neither sealed nor kept longer than their own expiry, and must not be lost. None is written
   * twice: what a later one ended would be valid again.
   * @param makers each makes a record, and another one for another attempt
   */
  writeFences(makers: readonly (() => StoredRecord)[]): Promise<void> {
    return this.#store.writeConfirmed(
      makers.map((make) => () => {
        const record = make()
        return { key: record.key, value: encodeRecord(record), ttl: record.expiresAt - Date.now() }
      }),
    )
  }

  delete(keys: readonly string[]): Promise<void> {
    return this.#store.delete(keys)
  }

  /** What cannot be read counts as absent, is reported, and is left where it is (P8). */
  open(value: unknown, key: string): Found {
    if (value === undefined) return { kind: 'absent' }
    const opened = this.#sealing.open(value, key)
    const record = 'unreadable' in opened ? opened : decodeRecord(opened.plaintext, key)
    if ('unreadable' in record) return unreadable(key, record.unreadable)
    if (record.expiresAt > Date.now()) return { kind: 'record', record }
    // Token records and links expire as a matter of course, some of them every hour.
    return isPartitionKey(key) ? unreadable(key, 'expired') : { kind: 'unreadable' }
  }

  /** Those that can be read, by their keys. */
  openAll(keys: readonly string[], stored: ReadonlyMap<string, unknown>): Map<string, StoredRecord> {
    const records = new Map<string, StoredRecord>()
    for (const key of keys) {
      const record = recordIn(this.open(stored.get(key), key))
      if (record !== undefined) records.set(key, record)
    }
    return records
  }
}

export function recordIn(found: Found): StoredRecord | undefined {
  return found.kind === 'record' ? found.record : undefined
}

function unreadable(key: string, reason: UnreadableRecordReason): Found {
  report('msal-keyv:unreadable-record', { key, reason })
  return { kind: 'unreadable' }
}
