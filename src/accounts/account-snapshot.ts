import { fingerprintOf } from '../records/fingerprint.ts'
import type { AccountKeys } from '../records/key-names.ts'
import type { StoredRecord } from '../records/record.ts'
import { type Found, type Records, recordIn } from '../records/records.ts'
import { type CurrentGeneration, decodeGeneration, isValid } from './generation.ts'
import { markIn, type SessionMark } from './sessions.ts'

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
  /** What is in the place of the mark that ends the host's session. */
  readonly mark: unknown
  readonly links: ReadonlyMap<string, StoredRecord | undefined>
  readonly expiresAt: number
}

/** What the store held for one account at one moment. It is opened when somebody looks. */
export class AccountSnapshot {
  readonly #records: Records
  readonly #keys: AccountKeys
  readonly #stored: Stored
  readonly #markKeys: readonly string[]
  readonly #id: string | undefined
  #found: Found | undefined
  #current: CurrentGeneration | undefined

  /**
   * @param markKeys the key of the mark that would end the host's session
   * @param id of the host's session
   */
  constructor(
    records: Records,
    keys: AccountKeys,
    stored: Stored,
    markKeys: readonly string[],
    id: string | undefined,
  ) {
    this.#records = records
    this.#keys = keys
    this.#stored = stored
    this.#markKeys = markKeys
    this.#id = id
  }

  /**
   * Equal for two snapshots in which the store held the same, so that the same is valid; undefined where nothing can
   * be.
   */
  get fingerprint(): string | undefined {
    const { partition, generation, mark } = this.#stored
    const isReadable = generation === undefined || typeof generation === 'string'
    if (!isReadable || mark !== undefined) return undefined
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

  /** The mark that ended the session that the account was loaded with, if somebody did. */
  get mark(): SessionMark | undefined {
    const [key = ''] = this.#markKeys
    return markIn(this.#records, this.#stored.mark, key)
  }

  /** The host's session was ended, and the account's other sessions go on. */
  get isSessionEnded(): boolean {
    const { mark } = this
    return mark !== undefined && (this.#id === undefined || !mark.signIns.includes(this.#id))
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
