import { fingerprintOf } from '../records/fingerprint.ts'
import type { AccountKeys } from '../records/key-names.ts'
import type { StoredRecord } from '../records/record.ts'
import { type Found, type Records, recordIn } from '../records/records.ts'
import { type CurrentGeneration, decodeGeneration, isValid } from './generation.ts'

/** An account's valid partition. */
export interface Partition {
  readonly generation: string
  /** MSAL's own JSON. */
  readonly cache: string
  /** The keys of the links that lead to it. */
  readonly links: readonly string[]
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

/** What was read, as the store returned it. */
interface Stored {
  readonly partition: unknown
  readonly generation: unknown
  readonly endedSession: unknown
  readonly links: ReadonlyMap<string, StoredRecord | undefined>
  readonly expiresAt: number
}

/** What the store held for one account at one moment. It is opened when somebody looks. */
export class AccountSnapshot {
  readonly #records: Records
  readonly #keys: AccountKeys
  readonly #stored: Stored
  #found: Found | undefined
  #current: CurrentGeneration | undefined

  constructor(records: Records, keys: AccountKeys, stored: Stored) {
    this.#records = records
    this.#keys = keys
    this.#stored = stored
  }

  /**
   * Equal for two snapshots in which the store held the same, so that the same is valid; undefined where nothing can
   * be.
   */
  get fingerprint(): string | undefined {
    const { partition, generation, endedSession } = this.#stored
    const isReadable = generation === undefined || typeof generation === 'string'
    if (!isReadable || endedSession !== undefined) return undefined
    const text = fingerprintOf(partition)
    return text === undefined ? undefined : `${generation ?? ''}\n${text}`
  }

  /** The account's valid partition. */
  get partition(): Partition | undefined {
    return validPartition(recordIn(this.#open()), this.current)
  }

  /** There is something in the partition's place that cannot be read here. */
  get isUnreadable(): boolean {
    return this.#open().kind === 'unreadable'
  }

  get current(): CurrentGeneration {
    this.#current ??= decodeGeneration(this.#stored.generation, this.#keys.generation)
    return this.#current
  }

  /** The host's session was ended, and the account's other sessions go on. */
  get isSessionEnded(): boolean {
    // Whatever it says, it is there.
    return this.#stored.endedSession !== undefined
  }

  /** The links that were read in the same store call: what was found, or undefined, by key. */
  get links(): ReadonlyMap<string, StoredRecord | undefined> {
    return this.#stored.links
  }

  /** When a record written on the strength of this snapshot expires, in epoch milliseconds. */
  get expiresAt(): number {
    return this.#stored.expiresAt
  }

  #open(): Found {
    this.#found ??= this.#records.open(this.#stored.partition, this.#keys.partition)
    return this.#found
  }
}

export function validPartition(
  record: StoredRecord | undefined,
  current: CurrentGeneration,
): Partition | undefined {
  if (record?.generation === undefined || !isValid(record.generation, current)) return undefined
  const { generation, body: cache, links = [], expiresAt } = record
  return { generation, cache, links, expiresAt }
}
