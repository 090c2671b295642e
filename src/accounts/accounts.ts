import { trace } from '../diagnostics.ts'
import { AccountEvictedError, EvictionError, StoreUnavailableError } from '../errors.ts'
import type { AccountKeys, KeyNames } from '../records/key-names.ts'
import type { Release } from '../records/locks.ts'
import type { StoredRecord } from '../records/record.ts'
import { type Records, recordIn } from '../records/records.ts'
import { type Assertion, isIssuedBefore } from './assertion.ts'
import {
  type CurrentGeneration,
  decodeGeneration,
  generationRecord,
  isValid,
  newGeneration,
} from './generation.ts'
import { keptLinks, Links, linkRecord, type ProviderSession } from './links.ts'

/** The outcome of an eviction that the store confirmed. */
export interface Eviction {
  homeAccountId: string
  evictedAt: Date
  /** Whether there was a record to delete. */
  existed: boolean
}

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

/** What the store held for one account at one moment. */
export interface AccountSnapshot {
  /** The account's valid partition. */
  readonly partition: Partition | undefined
  /** There is something in the partition's place that cannot be read here. */
  readonly isUnreadable: boolean
  readonly current: CurrentGeneration
  /** The links that were read in the same store call: what was found, or undefined, by key. */
  readonly links: ReadonlyMap<string, StoredRecord | undefined>
  /** When a record written on the strength of this snapshot expires, in epoch milliseconds. */
  readonly expiresAt: number
}

/** What to store in one account's partition. */
export interface PartitionUpdate {
  readonly generation: string
  /** MSAL's own JSON. */
  readonly cache: string
  /** When the cache is of no more use, in epoch milliseconds; its record expires then, or with `ttl`. */
  readonly expiresAt: number
}

/**
 * The accounts in the store: one partition each, its generation, and the links that lead to it. They are read and
 * written in the same store calls, so that a link slides and expires with the partition it leads to.
 */
export class Accounts {
  readonly links: Links
  readonly #records: Records
  readonly #names: KeyNames
  readonly #ttl: number

  /** @param ttl milliseconds */
  constructor(records: Records, names: KeyNames, ttl: number) {
    this.links = new Links(records, names)
    this.#records = records
    this.#names = names
    this.#ttl = ttl
  }

  /** What the account is called in diagnostics: the key of its partition. */
  keyOf(homeAccountId: string): string {
    return this.#names.account(homeAccountId).partition
  }

  /** What a token record names its account by. */
  generationKeyOf(homeAccountId: string): string {
    return this.#names.account(homeAccountId).generation
  }

  /**
   * One store call.
   * @throws {StoreUnavailableError}
   */
  load(homeAccountId: string): Promise<AccountSnapshot> {
    return this.#load(this.#names.account(homeAccountId), [])
  }

  /**
   * As {@link load}, with the account's lock.
   * @param linkKeys the links that the write may have to renew
   * @throws {StoreUnavailableError} without the lock
   */
  loadForWrite(
    homeAccountId: string,
    linkKeys: readonly string[],
  ): Promise<{ loaded: AccountSnapshot; unlock: Release }> {
    const keys = this.#names.account(homeAccountId)
    return this.#records.loadForWrite(keys.partition, (timeout) => this.#load(keys, linkKeys, timeout))
  }

  #load(keys: AccountKeys, linkKeys: readonly string[], timeout?: number): Promise<AccountSnapshot> {
    return trace(
      'msal-keyv:load',
      { key: keys.partition },
      () => this.#read(keys, linkKeys, timeout),
      ({ partition }) => ({ found: partition !== undefined }),
    )
  }

  async #read(keys: AccountKeys, linkKeys: readonly string[], timeout?: number): Promise<AccountSnapshot> {
    // From before the read: an eviction that the read did not see outlives what is written after it.
    const expiresAt = Date.now() + this.#ttl
    // The partition first: a store that reads one after the other then errs towards "evicted".
    const values = await this.#records.readRaw([keys.partition, keys.generation, ...linkKeys], timeout)
    const [value, generation, ...rest] = values
    const found = this.#records.open(value, keys.partition)
    const current = decodeGeneration(generation, keys.generation)
    const opened = this.#records.openAll(linkKeys, rest)
    return {
      partition: validPartition(recordIn(found), current),
      isUnreadable: found.kind === 'unreadable',
      current,
      links: new Map(linkKeys.map((key) => [key, opened.get(key)])),
      expiresAt,
    }
  }

  /**
   * Whether a sign-in is the one of now. One store call.
   * @throws {StoreUnavailableError}
   */
  async isCurrent(homeAccountId: string, generation: string): Promise<boolean> {
    const { partition, current } = await this.load(homeAccountId)
    // Without a partition that can be read here there may be one elsewhere, or a refresh in flight that writes one.
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
    const { current, partition } = await this.load(homeAccountId)
    if (current.kind === 'none') return stored ?? partition?.generation ?? newGeneration()
    if (current.kind === 'unreadable') await this.fence(homeAccountId, newGeneration())
    else if (!isIssuedBefore(assertion, current.evictedAt)) return current.id
    throw new AccountEvictedError()
  }

  /**
   * Writes the partition and its links. One store call, and one before it for a session that was not to be foreseen.
   * @param sessions the provider's sessions that the cache has ID tokens of
   * @throws {StoreUnavailableError}
   */
  async commit(
    homeAccountId: string,
    snapshot: AccountSnapshot,
    { generation, cache, expiresAt: end }: PartitionUpdate,
    sessions: readonly ProviderSession[],
  ): Promise<void> {
    const key = this.keyOf(homeAccountId)
    const expiresAt = Math.min(snapshot.expiresAt, end)
    const named = this.links.keysOf(sessions)
    const unread = [...named.keys()].filter((each) => !snapshot.links.has(each))
    const stored = new Map([...snapshot.links, ...(await this.#records.readAll(unread))])
    const links = keptLinks(snapshot.partition?.links ?? [], named.keys())
    const records: StoredRecord[] = [{ key, generation, links, expiresAt, body: cache }]
    for (const each of links) {
      const own = { homeAccountId, generation, expiresAt }
      const record = linkRecord(each, stored.get(each), own, named.get(each) ?? new Set())
      if (record !== undefined) records.push(record)
    }
    await trace('msal-keyv:commit', { key }, () => this.#records.writeAll(records))
  }

  /**
   * Links one more session of the provider to an account that is stored. Two store calls.
   * @returns the account's partition, or undefined where nothing is stored
   * @throws {StoreUnavailableError}
   */
  async link(homeAccountId: string, session: ProviderSession): Promise<Partition | undefined> {
    const linkKeys = [...this.links.keysOf([session]).keys()]
    const { loaded, unlock } = await this.loadForWrite(homeAccountId, linkKeys)
    try {
      const { partition } = loaded
      if (partition !== undefined) await this.commit(homeAccountId, loaded, partition, [session])
      return partition
    } finally {
      unlock()
    }
  }

  /**
   * Deletes a partition that holds no token any more. One store call.
   * @throws {StoreUnavailableError}
   */
  async remove(homeAccountId: string): Promise<void> {
    await this.#records.delete(this.keyOf(homeAccountId))
  }

  /**
   * Writes a generation record, which invalidates all that was or will be written under another generation. One
   * store call.
   * @throws {StoreUnavailableError}
   */
  async fence(homeAccountId: string, generation: string): Promise<void> {
    await this.#records.writePlain(generationRecord(this.generationKeyOf(homeAccountId), generation))
  }

  /**
   * Two store calls: the fence, then the deletion of what is dead.
   * @throws {EvictionError}
   */
  evict(homeAccountId: string): Promise<Eviction> {
    return trace(
      'msal-keyv:evict',
      { key: this.keyOf(homeAccountId) },
      () => this.#evict(homeAccountId),
      ({ existed }) => ({ existed }),
    )
  }

  async #evict(homeAccountId: string): Promise<Eviction> {
    try {
      await this.fence(homeAccountId, newGeneration())
    } catch (error) {
      throw evictionError(error, false)
    }
    try {
      const existed = await this.#records.delete(this.keyOf(homeAccountId))
      return { homeAccountId, evictedAt: new Date(), existed }
    } catch (error) {
      throw evictionError(error, true)
    }
  }
}

function validPartition(record: StoredRecord | undefined, current: CurrentGeneration): Partition | undefined {
  if (record?.generation === undefined || !isValid(record.generation, current)) return undefined
  const { generation, body: cache, links = [], expiresAt } = record
  return { generation, cache, links, expiresAt }
}

function evictionError(error: unknown, fenced: boolean): unknown {
  return error instanceof StoreUnavailableError ? new EvictionError({ fenced, cause: error }) : error
}
