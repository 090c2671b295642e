import { trace } from '../diagnostics.ts'
import { AccountEvictedError } from '../errors.ts'
import type { AccountKeys, KeyNames } from '../records/key-names.ts'
import type { Release } from '../records/locks.ts'
import type { StoredRecord } from '../records/record.ts'
import type { Records } from '../records/records.ts'
import { AccountSnapshot } from './account-snapshot.ts'
import { type Assertion, isIssuedBefore } from './assertion.ts'
import { type Eviction, Evictions } from './evictions.ts'
import { isValid, newGeneration } from './generation.ts'
import type { SignInRef } from './identity.ts'
import { Issuers } from './issuers.ts'
import { type Link, Links, type ProviderSession } from './links.ts'
import { type SessionInfo, Sessions } from './sessions.ts'

/** The sign-in that a host session belongs to, and what tells it from others. */
export interface BegunSession {
  readonly generation: string
  readonly id: string
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
  readonly sessions: Sessions
  readonly issuers = new Issuers()
  readonly evictions: Evictions
  readonly #records: Records
  readonly #names: KeyNames
  readonly #ttl: number

  /** @param ttl milliseconds */
  constructor(records: Records, names: KeyNames, ttl: number) {
    this.links = new Links(records, names)
    this.sessions = new Sessions(records, names, this.links)
    this.evictions = new Evictions(records, names)
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
   * @param linkKeys the links to read with it
   * @throws {StoreUnavailableError}
   */
  load(of: SignInRef, linkKeys: readonly string[] = []): Promise<AccountSnapshot> {
    return this.#load(of, linkKeys)
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
    return trace(
      'msal-keyv:load',
      { key: keys.partition },
      () => this.#read(keys, of, linkKeys, timeout),
      ({ partition }) => ({ found: partition !== undefined }),
    )
  }

  async #read(
    keys: AccountKeys,
    of: SignInRef,
    linkKeys: readonly string[],
    timeout?: number,
  ): Promise<AccountSnapshot> {
    // From before the read: an eviction that the read did not see outlives what is written after it.
    const expiresAt = Date.now() + this.#ttl
    // The partition first: a store that reads one after the other then errs towards "evicted".
    const markKeys = this.sessions.markKeys(of)
    const all = [keys.partition, keys.generation, ...markKeys, ...linkKeys]
    const [partition, generation, ...rest] = await this.#records.readRaw(all, timeout)
    const links = this.#records.openAll(linkKeys, rest.slice(markKeys.length))
    const stored = {
      partition,
      generation,
      mark: markKeys.length > 0 ? rest[0] : undefined,
      links: new Map(linkKeys.map((key) => [key, links.get(key)])),
      expiresAt,
    }
    return new AccountSnapshot(this.#records, keys, stored, markKeys, of.id)
  }

  /**
   * Which of these sign-ins are the ones of now. One store call.
   * @throws {StoreUnavailableError}
   */
  async current<Ref extends SignInRef>(refs: readonly Ref[]): Promise<Ref[]> {
    const snapshots = await this.#loadAll(refs)
    return refs.filter(({ generation }, index) => {
      const { partition, current } = snapshots[index] ?? {}
      if (generation === undefined || current === undefined) return true
      // Without a partition that can be read here there may be one elsewhere, or a refresh in flight that writes one.
      return partition === undefined ? isValid(generation, current) : partition.generation === generation
    })
  }

  /** As {@link load}, for many. One store call. */
  async #loadAll(refs: readonly SignInRef[]): Promise<AccountSnapshot[]> {
    const expiresAt = Date.now() + this.#ttl
    const keys = refs.map(({ homeAccountId }) => this.#names.account(homeAccountId))
    const values = await this.#records.readRaw(keys.flatMap((each) => [each.partition, each.generation]))
    return keys.map((each, index) => {
      const [partition, generation] = values.slice(2 * index)
      const stored = { partition, generation, mark: undefined, links: new Map(), expiresAt }
      return new AccountSnapshot(this.#records, each, stored, [], undefined)
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
   * @param alongside records to write in the same store call
   * @throws {StoreUnavailableError}
   */
  async commit(
    homeAccountId: string,
    snapshot: AccountSnapshot,
    { generation, cache, expiresAt: end }: PartitionUpdate,
    sessions: readonly ProviderSession[],
    alongside: readonly StoredRecord[] = [],
  ): Promise<void> {
    const key = this.keyOf(homeAccountId)
    const expiresAt = Math.min(snapshot.expiresAt, end)
    const known = snapshot.partition?.links ?? []
    const own = { homeAccountId, generation, expiresAt }
    const links = await this.links.renew(own, sessions, known, snapshot.links)
    for (const { issuer } of sessions) this.issuers.see(issuer)
    const partition = { key, generation, links: links.keys, expiresAt, body: cache }
    await trace('msal-keyv:commit', { key }, () =>
      this.#records.write([partition, ...links.records, ...alongside]),
    )
  }

  /**
   * Begins a host session of an account that is stored, and links the provider's session to it. One store call, and
   * one more where something is to be written.
   * @param session that is not linked yet
   * @returns undefined where nothing is stored
   * @throws {StoreUnavailableError}
   */
  async beginSession(
    homeAccountId: string,
    sid: string | undefined,
    session: ProviderSession | undefined,
  ): Promise<BegunSession | undefined> {
    const sessions = session === undefined ? [] : [session]
    const linkKeys = [...this.links.keysOf(sessions).keys()]
    const { loaded, unlock } = await this.loadForWrite({ homeAccountId, sid }, linkKeys)
    try {
      const { partition } = loaded
      if (partition === undefined) return undefined
      const { id, records } = this.sessions.begin(loaded)
      if (session !== undefined) await this.commit(homeAccountId, loaded, partition, sessions, records)
      else await this.#records.write(records)
      return { generation: partition.generation, id }
    } finally {
      unlock()
    }
  }

  /**
   * Deletes a partition that holds no token any more. One store call.
   * @throws {StoreUnavailableError}
   */
  async remove(homeAccountId: string): Promise<void> {
    await this.#records.delete([this.keyOf(homeAccountId)])
  }

  /**
   * The sessions of an account that have not ended. Three store calls.
   * @throws {StoreUnavailableError}
   */
  async listSessions(of: SignInRef): Promise<SessionInfo[]> {
    const { partition, isSessionEnded } = await this.load(of)
    const isOther = of.generation !== undefined && of.generation !== partition?.generation
    if (partition === undefined || isSessionEnded || isOther) return []
    const { generation, links } = partition
    const [sessions = []] = await this.sessions.list([{ ...of, generation, keys: links }])
    return sessions.map((session) => this.sessions.describe(session, of.sid))
  }

  /**
   * Ends one session of these sign-ins, and evicts the accounts that have no other. Up to seven store calls.
   * @throws {StoreUnavailableError}
   * @throws {EvictionError}
   */
  async endSession(
    links: readonly Pick<Link, 'homeAccountId' | 'generation'>[],
    sid: string,
  ): Promise<Eviction[]> {
    // First: of two sessions that end at once, at least one then sees that both have.
    await this.sessions.end(
      links.map(({ homeAccountId }) => homeAccountId),
      sid,
    )
    const snapshots = await this.#loadAll(links)
    const others = await this.sessions.list(
      links.map(({ homeAccountId, generation }, index) => {
        const keys = snapshots[index]?.partition?.links ?? []
        return { homeAccountId, generation, keys }
      }),
    )
    const lastOnes = links
      .filter((_, index) => others[index]?.length === 0)
      .map(({ homeAccountId }) => homeAccountId)
    return lastOnes.length === 0 ? [] : this.evict(lastOnes)
  }

  /**
   * See {@link Evictions}.
   * @throws {EvictionError}
   */
  evict(homeAccountIds: readonly string[]): Promise<Eviction[]> {
    return this.evictions.evict(homeAccountIds)
  }
}
