import { trace } from '../diagnostics.ts'
import { AccountEvictedError } from '../errors.ts'
import type { AccountKeys, KeyNames } from '../records/key-names.ts'
import type { Release } from '../records/locks.ts'
import type { StoredRecord } from '../records/record.ts'
import { type Records, recordIn } from '../records/records.ts'
import { type Assertion, isIssuedBefore } from './assertion.ts'
import { type Eviction, Evictions } from './evictions.ts'
import { type CurrentGeneration, decodeGeneration, isValid, newGeneration } from './generation.ts'
import type { SignInRef } from './identity.ts'
import { Links, type ProviderSession, readLinks } from './links.ts'

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
  /** The host's session was ended, and the account's other sessions go on. */
  readonly isSessionEnded: boolean
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
  readonly #evictions: Evictions
  readonly #records: Records
  readonly #names: KeyNames
  readonly #ttl: number

  /** @param ttl milliseconds */
  constructor(records: Records, names: KeyNames, ttl: number) {
    this.links = new Links(records, names)
    this.#evictions = new Evictions(records, names)
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
  load(of: SignInRef): Promise<AccountSnapshot> {
    return this.#load(of, [])
  }

  /**
   * As {@link load}, with the account's lock.
   * @param linkKeys the links that the write may have to renew
   * @throws {StoreUnavailableError} without the lock
   */
  loadForWrite(
    of: SignInRef,
    linkKeys: readonly string[],
  ): Promise<{ loaded: AccountSnapshot; unlock: Release }> {
    return this.#records.loadForWrite(this.keyOf(of.homeAccountId), (timeout) =>
      this.#load(of, linkKeys, timeout),
    )
  }

  #load(of: SignInRef, linkKeys: readonly string[], timeout?: number): Promise<AccountSnapshot> {
    const keys = this.#names.account(of.homeAccountId)
    const ended = of.sid === undefined ? [] : [this.#names.endedSession(of.homeAccountId, of.sid)]
    return trace(
      'msal-keyv:load',
      { key: keys.partition },
      () => this.#read(keys, ended, linkKeys, timeout),
      ({ partition }) => ({ found: partition !== undefined }),
    )
  }

  async #read(
    keys: AccountKeys,
    ended: readonly string[],
    linkKeys: readonly string[],
    timeout?: number,
  ): Promise<AccountSnapshot> {
    // From before the read: an eviction that the read did not see outlives what is written after it.
    const expiresAt = Date.now() + this.#ttl
    // The partition first: a store that reads one after the other then errs towards "evicted".
    const all = [keys.partition, keys.generation, ...ended, ...linkKeys]
    const [value, generation, ...rest] = await this.#records.readRaw(all, timeout)
    const found = this.#records.open(value, keys.partition)
    const current = decodeGeneration(generation, keys.generation)
    const opened = this.#records.openAll(linkKeys, rest.slice(ended.length))
    return {
      partition: validPartition(recordIn(found), current),
      isUnreadable: found.kind === 'unreadable',
      current,
      // Whatever it says, it is there.
      isSessionEnded: ended.length > 0 && rest[0] !== undefined,
      links: new Map(linkKeys.map((key) => [key, opened.get(key)])),
      expiresAt,
    }
  }

  /**
   * Which of these sign-ins are the ones of now, and not ended. One store call.
   * @throws {StoreUnavailableError}
   */
  async current<Ref extends SignInRef>(refs: readonly Ref[]): Promise<Ref[]> {
    const keys = refs.map(({ homeAccountId }) => this.#names.account(homeAccountId))
    const values = await this.#records.readRaw(
      keys.flatMap(({ partition, generation }) => [partition, generation]),
    )
    return refs.filter(({ generation }, index) => {
      const record = recordIn(this.#records.open(values[2 * index], keys[index]?.partition ?? ''))
      const current = decodeGeneration(values[2 * index + 1], keys[index]?.generation ?? '')
      const partition = validPartition(record, current)
      if (generation === undefined) return true
      // Without a partition that can be read here there may be one elsewhere, or a refresh in flight that writes one.
      return partition === undefined ? isValid(generation, current) : partition.generation === generation
    })
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
   * An unreadable generation record does not say when the eviction was: the account is evicted, and so was now.
   * @param stored the generation of the valid record that the tokens join, if there is one
   * @throws {AccountEvictedError} when the assertion was issued before the account's eviction
   * @throws {StoreUnavailableError}
   */
  async generationForAssertion(
    homeAccountId: string,
    assertion: Assertion,
    stored: string | undefined,
  ): Promise<string> {
    const { current, partition } = await this.load({ homeAccountId })
    if (current.kind === 'none') return stored ?? partition?.generation ?? newGeneration()
    if (current.kind === 'unreadable') await this.evict([homeAccountId])
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
    const known = snapshot.partition?.links ?? []
    const own = { homeAccountId, generation, expiresAt }
    const links = await this.links.renew(own, sessions, known, snapshot.links)
    const partition = { key, generation, links: links.keys, expiresAt, body: cache }
    await trace('msal-keyv:commit', { key }, () => this.#records.write([partition, ...links.records]))
  }

  /**
   * Links one more session of the provider to an account that is stored. Two store calls.
   * @returns the account's partition, or undefined where nothing is stored
   * @throws {StoreUnavailableError}
   */
  async link(homeAccountId: string, session: ProviderSession): Promise<Partition | undefined> {
    const linkKeys = [...this.links.keysOf([session]).keys()]
    const { loaded, unlock } = await this.loadForWrite({ homeAccountId }, linkKeys)
    try {
      const { partition } = loaded
      if (partition !== undefined) await this.commit(homeAccountId, loaded, partition, [session])
      return partition
    } finally {
      unlock()
    }
  }

  /**
   * Writes the links that an account's partition names and that are not there, as after a write that the store did in
   * part. One store call, or none.
   * @param snapshot with the links of the sessions
   * @throws {StoreUnavailableError}
   */
  async relink(
    homeAccountId: string,
    { partition, links }: AccountSnapshot,
    sessions: readonly ProviderSession[],
  ): Promise<void> {
    if (partition === undefined) return
    const { generation, expiresAt, links: known } = partition
    const isMissing = (key: string) =>
      known.includes(key) && !readLinks(links.get(key)).some((link) => link.homeAccountId === homeAccountId)
    if (![...this.links.keysOf(sessions).keys()].some(isMissing)) return
    const { records } = await this.links.renew(
      { homeAccountId, generation, expiresAt },
      sessions,
      known,
      links,
    )
    await this.#records.write(records)
  }

  /**
   * Deletes a partition that holds no token any more. One store call.
   * @throws {StoreUnavailableError}
   */
  async remove(homeAccountId: string): Promise<void> {
    await this.#records.delete([this.keyOf(homeAccountId)])
  }

  /** See {@link Evictions}. */
  evict(homeAccountIds: readonly string[]): Promise<Eviction[]> {
    return this.#evictions.evict(homeAccountIds)
  }
}

function validPartition(record: StoredRecord | undefined, current: CurrentGeneration): Partition | undefined {
  if (record?.generation === undefined || !isValid(record.generation, current)) return undefined
  const { generation, body: cache, links = [], expiresAt } = record
  return { generation, cache, links, expiresAt }
}
