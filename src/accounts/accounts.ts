import { trace } from '../diagnostics.ts'
import { AccountEvictedError, EvictionError, StoreUnavailableError } from '../errors.ts'
import { type AccountKeys, isLongRunning, type KeyNames } from '../records/key-names.ts'
import type { Release } from '../records/locks.ts'
import { fingerprintOf, type StoredRecord } from '../records/record.ts'
import { type Found, type Records, recordIn } from '../records/records.ts'
import {
  type CurrentGeneration,
  decodeGeneration,
  generationRecord,
  isValid,
  newGeneration,
} from './generation.ts'
import { type Assertion, isIssuedBefore, type SignInRef } from './identity.ts'
import { Issuers, type Link, Links, type ProviderSession, readLinks } from './links.ts'
import { markIn, type SessionInfo, type SessionMark, Sessions } from './sessions.ts'
import { listedRecords } from './token-records.ts'

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

/** The sign-in that a host session belongs to, and what tells it from others. */
export interface BegunSession {
  readonly generation: string
  readonly id: string
}

/** The outcome of an eviction that the store confirmed. */
export interface Eviction {
  homeAccountId: string
  evictedAt: Date
  /**
   * Whether the store had tokens of the account: its own, of its long-running processes, or acquired on its behalf.
   * What had ended before may count too, until it is deleted or expires.
   */
  existed: boolean
}

/** Forgets what it knows of an account. */
interface EvictionListener {
  forget(homeAccountId: string): void
}

/** What was read of an account, and for whom. */
interface Reading {
  readonly records: Records
  readonly of: SignInRef
  readonly keys: AccountKeys
  /** Of the mark that would end the host's session. */
  readonly markKey: string | undefined
  /** What the store returned, by key. */
  readonly stored: ReadonlyMap<string, unknown>
  readonly links: ReadonlyMap<string, StoredRecord | undefined>
  readonly expiresAt: number
}

/** What the store held for one account at one moment. It is opened on demand. */
export class AccountSnapshot {
  readonly #read: Reading
  #found: Found | undefined
  #current: CurrentGeneration | undefined

  constructor(read: Reading) {
    this.#read = read
  }

  /** Equal for two snapshots of equal content, which make the same valid; undefined if nothing can be valid. */
  get fingerprint(): string | undefined {
    const { keys, stored, markKey = '' } = this.#read
    const generation = stored.get(keys.generation)
    const isReadable = generation === undefined || typeof generation === 'string'
    if (!isReadable || stored.get(markKey) !== undefined) return undefined
    const text = fingerprintOf(stored.get(keys.partition))
    return text === undefined ? undefined : `${generation ?? ''}\n${text}`
  }

  /** The account's valid partition. */
  get partition(): Partition | undefined {
    const record = recordIn(this.#open())
    if (record?.generation === undefined || !isValid(record.generation, this.current)) return undefined
    const { generation, body: cache, links = [], expiresAt } = record
    return { generation, cache, links, expiresAt }
  }

  /** There is something in the partition's place that cannot be read here. */
  get isUnreadable(): boolean {
    return this.#open().kind === 'unreadable'
  }

  get current(): CurrentGeneration {
    const { stored, keys } = this.#read
    this.#current ??= decodeGeneration(stored.get(keys.generation), keys.generation)
    return this.#current
  }

  /** The mark that ended the session that the account was loaded with. */
  get mark(): SessionMark | undefined {
    const { records, stored, markKey } = this.#read
    return markKey === undefined ? undefined : markIn(records, stored.get(markKey), markKey)
  }

  /** The host's session was ended, and the account's other sessions go on. */
  get isSessionEnded(): boolean {
    const { mark } = this
    const { id } = this.#read.of
    return mark !== undefined && (id === undefined || !mark.signIns.includes(id))
  }

  /** The partition, unless the host's session has ended or began with another sign-in. */
  get signedIn(): Partition | undefined {
    const { generation } = this.#read.of
    const isOther = generation !== undefined && generation !== this.partition?.generation
    return isOther || this.isSessionEnded ? undefined : this.partition
  }

  /** The links that were read in the same store call: what was found, or undefined, by key. */
  get links(): ReadonlyMap<string, StoredRecord | undefined> {
    return this.#read.links
  }

  /** When a record written on the strength of this snapshot expires, in epoch milliseconds. */
  get expiresAt(): number {
    return this.#read.expiresAt
  }

  #open(): Found {
    const { records, stored, keys } = this.#read
    this.#found ??= records.open(stored.get(keys.partition), keys.partition)
    return this.#found
  }
}

/**
 * The accounts in the store: one partition each, its generation, and the links that lead to it. They are read and
 * written in the same store calls, so that a link slides and expires with the partition it leads to.
 */
export class Accounts {
  readonly links: Links
  readonly sessions: Sessions
  readonly issuers = new Issuers()
  readonly #records: Records
  readonly #names: KeyNames
  readonly #ttl: number
  #listeners: readonly WeakRef<EvictionListener>[] = []

  /** @param ttl milliseconds */
  constructor(records: Records, names: KeyNames, ttl: number) {
    this.links = new Links(records, names)
    this.sessions = new Sessions(records, names, this.links)
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

  /** @param linkKeys the links to read in the same store call */
  load(of: SignInRef, linkKeys: readonly string[] = [], timeout?: number): Promise<AccountSnapshot> {
    return trace(
      'msal-keyv:load',
      { key: this.keyOf(of.homeAccountId) },
      async () => (await this.#loadMany([of], linkKeys, timeout))[0] as AccountSnapshot,
      ({ partition }) => ({ found: partition !== undefined }),
    )
  }

  /**
   * As {@link load}, with the account's lock.
   * @param linkKeys the links that the write may have to renew
   */
  loadForWrite(
    of: SignInRef,
    linkKeys: readonly string[],
  ): Promise<{ loaded: AccountSnapshot; unlock: Release }> {
    return this.#records.loadForWrite(this.keyOf(of.homeAccountId), (timeout) =>
      this.load(of, linkKeys, timeout),
    )
  }

  async #loadMany(
    refs: readonly SignInRef[],
    linkKeys: readonly string[] = [],
    timeout?: number,
  ): Promise<AccountSnapshot[]> {
    // From before the read: an eviction that the read did not see outlives what is written after it.
    const expiresAt = Date.now() + this.#ttl
    const named = refs.map((of) => ({
      of,
      keys: this.#names.account(of.homeAccountId),
      markKey: this.sessions.markKey(of),
    }))
    // The partition first: a store that reads one after the other then errs towards "evicted".
    const keys = named.flatMap(({ keys: { partition, generation }, markKey = [] }) =>
      [partition, generation].concat(markKey),
    )
    const stored = await this.#records.readRaw([...keys, ...linkKeys], timeout)
    const opened = this.#records.openAll(linkKeys, stored)
    const links = new Map(linkKeys.map((key) => [key, opened.get(key)]))
    return named.map((each) => {
      return new AccountSnapshot({ ...each, records: this.#records, stored, links, expiresAt })
    })
  }

  /** Which of these sign-ins are the ones of now. */
  async current<Ref extends SignInRef>(refs: readonly Ref[]): Promise<Ref[]> {
    const snapshots = await this.#loadMany(refs)
    return refs.filter(({ generation }, index) => {
      const { partition, current } = snapshots[index] ?? {}
      if (generation === undefined || current === undefined) return true
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
   * What a record of tokens acquired for this assertion is valid under.
   *
   * An unreadable generation record does not say when the eviction was: the account is evicted, and so was now.
   * @param stored the generation of the valid record that the tokens join, if there is one
   * @throws {AccountEvictedError} when the assertion was issued before the account's eviction
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
   * Writes the partition and its links.
   * @param update its record expires with the cache, or after `ttl`
   * @param sessions the provider's sessions that the cache has ID tokens of
   * @param alongside records to write in the same store call
   */
  async commit(
    homeAccountId: string,
    snapshot: AccountSnapshot,
    update: Omit<Partition, 'links'>,
    sessions: readonly ProviderSession[],
    alongside: readonly StoredRecord[] = [],
  ): Promise<void> {
    const key = this.keyOf(homeAccountId)
    const { generation, cache } = update
    const expiresAt = Math.min(snapshot.expiresAt, update.expiresAt)
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
   * Begins a host session of an account that is stored, and links the provider's session to it.
   * @param session that is not linked yet
   * @returns undefined if nothing is stored
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
   * Writes the links that an account's partition names and that are not there, as after a write that the store did in
   * part.
   * @param snapshot with the links of the sessions
   */
  async relink(
    homeAccountId: string,
    { partition, links }: AccountSnapshot,
    sessions: readonly ProviderSession[],
  ): Promise<void> {
    if (partition === undefined) return
    const { generation, expiresAt, links: known } = partition
    const named = [...this.links.keysOf(sessions).keys()]
    const isThere = (key: string) =>
      readLinks(links.get(key)).some((link) => link.homeAccountId === homeAccountId)
    if (named.every((key) => !known.includes(key) || isThere(key))) return
    const own = { homeAccountId, generation, expiresAt }
    await this.#records.write((await this.links.renew(own, sessions, known, links)).records)
  }

  /** Deletes a partition that holds no token any more. */
  async remove(homeAccountId: string): Promise<void> {
    await this.#records.delete([this.keyOf(homeAccountId)])
  }

  /** The sessions of an account that have not ended. */
  async listSessions(of: SignInRef): Promise<SessionInfo[]> {
    const { signedIn } = await this.load(of)
    if (signedIn === undefined) return []
    const { generation, links: keys } = signedIn
    const [sessions = []] = await this.sessions.list([{ ...of, generation, keys }])
    return sessions.map((session) => this.sessions.describe(session, of.sid))
  }

  /** Ends one session of these sign-ins, and evicts the accounts that have no other. */
  async endSession(
    links: readonly Pick<Link, 'homeAccountId' | 'generation'>[],
    sid: string,
  ): Promise<Eviction[]> {
    const ids = links.map(({ homeAccountId }) => homeAccountId)
    // First: of two sessions that end at once, at least one then sees that both have.
    await this.sessions.end(ids, sid)
    const snapshots = await this.#loadMany(links)
    const others = await this.sessions.list(
      links.map(({ homeAccountId, generation }, index) => {
        return { homeAccountId, generation, keys: snapshots[index]?.partition?.links ?? [] }
      }),
    )
    const lastOnes = ids.filter((_, index) => others[index]?.length === 0)
    return lastOnes.length === 0 ? [] : this.evict(lastOnes)
  }

  /** The listener is called on each eviction by this process. It is held weakly. */
  onEviction(listener: EvictionListener): void {
    const listening = this.#listeners.filter((each) => each.deref() !== undefined)
    this.#listeners = [...listening, new WeakRef(listener)]
  }

  /**
   * Ends sign-ins for good: first the fence, a generation record that invalidates all that was or will be written under
   * another generation; then all that is dead and can be found is deleted.
   * @throws {EvictionError}
   */
  evict(homeAccountIds: readonly string[]): Promise<Eviction[]> {
    const accounts = [...new Set(homeAccountIds)].map((id) => ({ id, keys: this.#names.account(id) }))
    const evict = async () => {
      for (const { id } of accounts) for (const listener of this.#listeners) listener.deref()?.forget(id)
      const fences = accounts.map(({ keys }) => generationRecord(keys.generation, newGeneration()))
      await this.#records.writeFences(fences).catch((error: unknown) => fail(error, false))
      try {
        const evictedAt = new Date()
        const dead: string[] = []
        const stored = await this.#records.readRaw(
          accounts.flatMap(({ keys }) => [keys.partition, keys.list]),
        )
        const evictions = accounts.map(({ id: homeAccountId, keys: { partition, list } }) => {
          const listed = listedRecords(recordIn(this.#records.open(stored.get(list), list)))
          // What an assertion acquired has no refresh token. It stays, to refuse the assertion, until it expires.
          dead.push(partition, ...listed.map(({ key }) => key).filter(isLongRunning))
          if (stored.get(list) !== undefined) dead.push(list)
          return {
            homeAccountId,
            evictedAt,
            existed: stored.get(partition) !== undefined || listed.length > 0,
          }
        })
        await this.#records.delete(dead)
        return evictions
      } catch (error) {
        return fail(error, true)
      }
    }
    return trace('msal-keyv:evict', { key: accounts[0]?.keys.partition ?? '' }, evict, (evictions) => ({
      existed: evictions.some(({ existed }) => existed),
    }))
  }
}

function fail(error: unknown, fenced: boolean): never {
  throw error instanceof StoreUnavailableError ? new EvictionError({ fenced, cause: error }) : error
}
