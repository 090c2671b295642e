import { trace } from '../diagnostics.ts'
import { AccountEvictedError, EvictionError, StoreUnavailableError } from '../errors.ts'
import { type AccountKeys, isLongRunning, type KeyNames } from '../records/key-names.ts'
import type { Release } from '../records/locks.ts'
import { fingerprintOf } from '../records/record.ts'
import { type Found, type Records, recordIn } from '../records/records.ts'
import {
  type CurrentGeneration,
  decodeGeneration,
  generationRecord,
  isValid,
  newGeneration,
} from './generation.ts'
import { type Assertion, type HostSession, isIssuedBefore, type SignInRef } from './identity.ts'
import {
  Issuers,
  joinLinks,
  Links,
  linkRows,
  type NamedLink,
  type NamedSession,
  namedLinks,
  type ProviderSession,
  readLinks,
} from './links.ts'
import { decodeOrigin, encodeOrigin, type Origin, type Provider } from './origin.ts'
import { describeSession, isLive, type SessionInfo } from './sessions.ts'
import { listedRecords, refusedTokens } from './token-records.ts'

/** An account's valid partition. */
export interface Partition {
  readonly generation: string
  /** MSAL's own JSON. */
  readonly cache: string
  /** The links that lead to it. */
  readonly links: readonly NamedLink[]
  /** Where the account has signed in. */
  readonly origin: Origin | undefined
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

/** What a host session begins with: the sign-in that it belongs to, and its session at the provider. */
export type BegunSession = Pick<HostSession, 'generation' | 'epoch' | 'since'>

/** Whose session a write comes from. */
export interface Writer {
  /** The provider's sessions that the cache has ID tokens of, or that the authorization response names. */
  readonly sessions: readonly ProviderSession[]
  /** The host session that refreshes. Without one, the sessions are of a sign-in, and begin. */
  readonly refreshing?: SignInRef | undefined
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

/** Forgets what it knows of an account, by the key of its generation record. */
interface EvictionListener {
  forget(generationKey: string): void
}

/** What was read of an account, and for whom. */
interface Reading {
  readonly records: Records
  readonly of: SignInRef
  readonly keys: AccountKeys
  /** What the epoch of the host's session is called by, and where it is. */
  readonly session: { readonly digest: string; readonly key: string } | undefined
  /** What the store returned, by key. */
  readonly stored: ReadonlyMap<string, unknown>
  /** From before it was read; epoch milliseconds. */
  readonly readAt: number
  readonly ttl: number
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
    const { keys, stored, session } = this.#read
    const text = fingerprintOf(stored.get(keys.partition))
    const others = [keys.generation, keys.refusal, session?.key ?? ''].map((key) => stored.get(key))
    const isReadable = others.every((each) => each === undefined || typeof each === 'string')
    if (text === undefined || !isReadable || this.isSessionEnded) return undefined
    // What is absent is not what is empty.
    return `${JSON.stringify(others)}\n${text}`
  }

  /** The account's valid partition. */
  get partition(): Partition | undefined {
    const record = recordIn(this.#open())
    if (record?.generation === undefined || !isValid(record.generation, this.current)) return undefined
    const { generation, body: cache, expiresAt } = record
    return {
      generation,
      cache,
      links: namedLinks(record.links),
      origin: decodeOrigin(record.origin),
      expiresAt,
    }
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

  /** What the store says of the epoch of the session that the account was loaded with. */
  get epoch(): CurrentGeneration {
    const { stored, session } = this.#read
    return session === undefined ? { kind: 'none' } : decodeGeneration(stored.get(session.key), session.key)
  }

  /** What the partition names of that session. */
  get namedSession(): NamedSession | undefined {
    const { session } = this.#read
    return this.partition?.links.find((link) => link.session?.digest === session?.digest)?.session
  }

  /** The host's session was ended, or is of a tenant where the account has not signed in; its others go on. */
  get isSessionEnded(): boolean {
    const { session, of } = this.#read
    const { tenantId } = of
    const isElsewhere = this.partition?.origin?.realms.every(({ name }) => name !== tenantId)
    if (tenantId !== undefined && isElsewhere) return true
    return session !== undefined && !isLive(of, this.epoch, () => this.namedSession)
  }

  /** The partition, unless the host's session has ended or began with another sign-in. */
  get signedIn(): Partition | undefined {
    const { generation } = this.#read.of
    const isOther = generation !== undefined && generation !== this.partition?.generation
    return isOther || this.isSessionEnded ? undefined : this.partition
  }

  /** The digests of refresh tokens that their provider has refused. */
  get refused(): string[] {
    const { records, stored, keys } = this.#read
    return refusedTokens(recordIn(records.open(stored.get(keys.refusal), keys.refusal)))
  }

  /** Whether another record, that was read with it, says that the account is linked by this key. */
  isNamedBy(key: string): boolean {
    const { records, stored, keys } = this.#read
    const list = recordIn(records.open(stored.get(keys.list), keys.list))
    const links = [...(this.partition?.links ?? []), ...namedLinks(list?.links)]
    return links.some((link) => link.key === key)
  }

  /** What the store returned, by key. */
  get stored(): ReadonlyMap<string, unknown> {
    return this.#read.stored
  }

  /** From before it was read; epoch milliseconds. */
  get readAt(): number {
    return this.#read.readAt
  }

  /** When a record written on the strength of this snapshot expires, in epoch milliseconds. */
  get expiresAt(): number {
    return this.#read.readAt + this.#read.ttl
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
  readonly issuers = new Issuers()
  readonly #records: Records
  readonly #names: KeyNames
  readonly #ttl: number
  #listeners: readonly WeakRef<EvictionListener>[] = []
  readonly #movedFrom: readonly string[]

  /**
   * @param ttl milliseconds
   * @param movedFrom the hosts whose accounts are those of another one now
   */
  constructor(records: Records, names: KeyNames, ttl: number, movedFrom: readonly string[] = []) {
    this.links = new Links(records, names)
    this.#records = records
    this.#names = names
    this.#ttl = ttl
    this.#movedFrom = movedFrom
  }

  /** What the account is called in diagnostics: the key of its partition. */
  keyOf(homeAccountId: string): string {
    return this.#names.account(homeAccountId).partition
  }

  /** What a token record names its account by. */
  generationKeyOf(homeAccountId: string): string {
    return this.#names.account(homeAccountId).generation
  }

  /** @param more what else to read in the same store call */
  load(of: SignInRef, more: readonly string[] = [], timeout?: number): Promise<AccountSnapshot> {
    return trace(
      'msal-keyv:load',
      { key: this.keyOf(of.homeAccountId) },
      async () => (await this.#loadMany([of], more, timeout))[0] as AccountSnapshot,
      ({ partition }) => ({ found: partition !== undefined }),
    )
  }

  /**
   * As {@link load}, with the account's lock.
   * @param more what the write will have to know
   */
  loadForWrite(
    of: SignInRef,
    more: readonly string[],
  ): Promise<{ loaded: AccountSnapshot; unlock: Release }> {
    return this.#records.loadForWrite(this.keyOf(of.homeAccountId), (timeout) => this.load(of, more, timeout))
  }

  /** What a write of an account has to know that names these links. */
  keysBehind(homeAccountId: string, links: readonly NamedLink[]): string[] {
    return links.flatMap(({ key, session }) =>
      session === undefined ? [key] : [key, this.#names.epoch(homeAccountId, session.digest)],
    )
  }

  async #loadMany(
    refs: readonly SignInRef[],
    more: readonly string[] = [],
    timeout?: number,
  ): Promise<AccountSnapshot[]> {
    // From before the read: an eviction that the read did not see outlives what is written after it.
    const readAt = Date.now()
    const named = refs.map((of) => {
      const digest = this.links.digestOf({ issuer: '', sid: of.sid })
      const key = digest === undefined ? '' : this.#names.epoch(of.homeAccountId, digest)
      const session = digest === undefined ? undefined : { digest, key }
      return { of, keys: this.#names.account(of.homeAccountId), session }
    })
    // The partition first: a store that reads one after the other then errs towards "evicted".
    const keys = named.flatMap(({ keys: { partition, generation, refusal }, session }) =>
      session === undefined
        ? [partition, generation, refusal]
        : [partition, generation, session.key, refusal],
    )
    const stored = await this.#records.readRaw([...new Set([...keys, ...more])], timeout)
    return named.map(
      (each) => new AccountSnapshot({ ...each, records: this.#records, stored, readAt, ttl: this.#ttl }),
    )
  }

  /**
   * Which of these sign-ins are the ones of now; and of links, which lead to one: a link that a late write has put back
   * names an older sign-in, and counts as long as the account's own record names it.
   */
  async current<Ref extends SignInRef & { readonly key?: string }>(refs: readonly Ref[]): Promise<Ref[]> {
    if (refs.length === 0) return []
    const lists = refs.map(({ homeAccountId }) => this.#names.account(homeAccountId).list)
    const snapshots = await this.#loadMany(
      refs.map(({ homeAccountId, sid, epoch, since }) => ({ homeAccountId, sid, epoch, since })),
      lists,
    )
    return refs.filter(({ generation, key }, index) => {
      const snapshot = snapshots[index]
      if (generation === undefined || snapshot === undefined) return true
      if (snapshot.isSessionEnded) return false
      const { partition, current } = snapshot
      // Without a partition that can be read here there may be one elsewhere, or a refresh in flight that writes one.
      const isOfNow =
        partition === undefined ? isValid(generation, current) : partition.generation === generation
      return isOfNow || (key !== undefined && snapshot.isNamedBy(key))
    })
  }

  /** Whether a sign-in of another provider may take the place of this one's. */
  mayReplace({ hosts, issuer }: Provider): boolean {
    return issuer === '' || hosts.some((host) => this.#movedFrom.includes(host))
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
   * Writes the partition and all its links. One store call, and one before it if the partition names links that were not
   * read.
   * @param update its record expires with the cache, or after `ttl`
   */
  async commit(
    homeAccountId: string,
    snapshot: AccountSnapshot,
    update: Omit<Partition, 'links'>,
    writer: Writer,
  ): Promise<BegunSession> {
    const { generation, cache } = update
    const { partition: before, readAt: since } = snapshot
    const known = before?.links ?? []
    const { stored, links, epochs } = await this.#linksAfter(homeAccountId, snapshot, known, writer)
    const key = this.keyOf(homeAccountId)
    const expiresAt = Math.min(snapshot.expiresAt, update.expiresAt)
    const records = await this.links.recordsOf(links, { homeAccountId, generation, expiresAt }, stored)
    for (const { issuer } of writer.sessions) this.issuers.see(issuer)
    const origin = update.origin && encodeOrigin(update.origin)
    const partition = { key, generation, links: linkRows(links), origin, expiresAt, body: cache }
    await trace('msal-keyv:commit', { key }, () => this.#records.write([partition, ...records]))
    const [epoch] = epochs.values()
    return epoch === undefined ? { generation } : { generation, epoch, since }
  }

  /** What an account names after a write: what it named and is not over, and what the writer's sessions are named by. */
  async #linksAfter(
    homeAccountId: string,
    { stored: read, readAt }: AccountSnapshot,
    known: readonly NamedLink[],
    { sessions, refreshing }: Writer,
  ) {
    const digests = sessions.flatMap((session) => this.links.digestOf(session) ?? [])
    const epochKey = (digest: string) => this.#names.epoch(homeAccountId, digest)
    const wanted = [
      ...this.keysBehind(homeAccountId, known),
      ...this.links.keysOf(sessions),
      ...digests.map(epochKey),
    ]
    const missing = [...new Set(wanted)].filter((key) => !read.has(key))
    const stored = new Map([...read, ...(await this.#records.readRaw(missing))])
    const currentOf = (digest: string) => decodeGeneration(stored.get(epochKey(digest)), epochKey(digest))
    const goesOn = ({ session }: NamedLink) =>
      session === undefined || isValid(session.epoch, currentOf(session.digest))
    const live = known.filter(goesOn)
    const begun = (digest: string): string | undefined => {
      const current = currentOf(digest)
      if (current.kind !== 'none') return current.kind === 'known' ? current.id : undefined
      return live.find(({ session }) => session?.digest === digest)?.session?.epoch ?? newGeneration()
    }
    const own = this.links.digestOf({ issuer: '', sid: refreshing?.sid })
    const epochs = new Map<string, string>()
    for (const digest of digests) {
      const epoch = refreshing === undefined ? begun(digest) : digest === own ? refreshing.epoch : undefined
      if (epoch !== undefined) epochs.set(digest, epoch)
    }
    const added = this.links.name(sessions, (digest) => epochs.get(digest), readAt)
    return { stored, links: joinLinks(live, added), epochs }
  }

  /**
   * Begins a host session of an account that is stored, and links the provider's session to it.
   * @param session that is not linked yet
   * @returns undefined if nothing is stored, or the session has ended meanwhile
   */
  async beginSession(
    homeAccountId: string,
    sid: string | undefined,
    session: ProviderSession | undefined,
  ): Promise<BegunSession | undefined> {
    const sessions = session === undefined ? [] : [session]
    const { loaded, unlock } = await this.loadForWrite({ homeAccountId, sid }, this.links.keysOf(sessions))
    try {
      const { partition, namedSession, readAt } = loaded
      if (partition === undefined) return undefined
      if (session !== undefined) return await this.commit(homeAccountId, loaded, partition, { sessions })
      const { generation } = partition
      if (sid === undefined) return { generation }
      // Of the sign-in, and not of now: it may have ended since.
      if (namedSession !== undefined)
        return { generation, epoch: namedSession.epoch, since: namedSession.lastSeen }
      return loaded.epoch.kind === 'none' ? { generation, epoch: newGeneration(), since: readAt } : undefined
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
    { partition, stored }: AccountSnapshot,
    sessions: readonly ProviderSession[],
  ): Promise<void> {
    if (partition === undefined) return
    const { generation, expiresAt } = partition
    const keys = this.links.keysOf(sessions)
    const found = this.#records.openAll(keys, stored)
    const isThere = (key: string) =>
      readLinks(found.get(key)).some((link) => link.homeAccountId === homeAccountId)
    const lost = partition.links.filter(({ key }) => keys.includes(key) && !isThere(key))
    if (lost.length === 0) return
    await this.#records.write(
      await this.links.recordsOf(lost, { homeAccountId, generation, expiresAt }, stored),
    )
  }

  /** Deletes a partition that holds no token any more. */
  async remove(homeAccountId: string): Promise<void> {
    await this.#records.delete([this.keyOf(homeAccountId)])
  }

  /** The sessions of an account that have not ended. */
  async listSessions(of: SignInRef): Promise<SessionInfo[]> {
    const { signedIn } = await this.load(of)
    if (signedIn === undefined) return []
    const [live = []] = await this.#liveSessions([{ ...of, links: signedIn.links }])
    const own = this.links.digestOf({ issuer: '', sid: of.sid })
    return live.map((each) => describeSession(each, signedIn.expiresAt, own))
  }

  /** Ends one session of these accounts, and evicts those that have no other. Up to six store calls. */
  async endSession(homeAccountIds: readonly string[], sid: string): Promise<Eviction[]> {
    // First: of two sessions that end at once, at least one then sees that both have.
    await this.#fenceSession(homeAccountIds, sid)
    const ids = [...new Set(homeAccountIds)]
    const snapshots = await this.#loadMany(ids.map((homeAccountId) => ({ homeAccountId })))
    const others = await this.#liveSessions(
      ids.map((homeAccountId, index) => ({ homeAccountId, links: snapshots[index]?.partition?.links ?? [] })),
    )
    const lastOnes = ids.filter((_, index) => others[index]?.length === 0)
    return lastOnes.length === 0 ? [] : this.evict(lastOnes)
  }

  /**
   * What a session was, it is not any more.
   * @throws {EvictionError}
   */
  async #fenceSession(homeAccountIds: readonly string[], sid: string): Promise<void> {
    const digest = this.#names.sidDigest(sid)
    const keys = homeAccountIds.map((id) => this.#names.epoch(id, digest))
    await this.#records.writeFences(keys.map((key) => () => generationRecord(key)))
  }

  async #liveSessions(
    accounts: readonly { readonly homeAccountId: string; readonly links: readonly NamedLink[] }[],
  ): Promise<(NamedLink & { session: NamedSession })[][]> {
    const sessions = accounts.map(({ homeAccountId, links }) =>
      links.flatMap((link) => {
        const { session } = link
        return session
          ? [{ ...link, session, epochKey: this.#names.epoch(homeAccountId, session.digest) }]
          : []
      }),
    )
    const stored = await this.#records.readRaw([...new Set(sessions.flat().map(({ epochKey }) => epochKey))])
    return sessions.map((each) =>
      each.filter(({ session, epochKey }) =>
        isValid(session.epoch, decodeGeneration(stored.get(epochKey), epochKey)),
      ),
    )
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
      for (const { keys } of accounts) {
        for (const listener of this.#listeners) listener.deref()?.forget(keys.generation)
      }
      const fences = accounts.map(
        ({ keys: { generation } }) =>
          () =>
            generationRecord(generation),
      )
      await this.#records.writeFences(fences).catch((error: unknown) => fail(error, false))
      try {
        const evictedAt = new Date()
        const dead: string[] = []
        const stored = await this.#records.readRaw(
          accounts.flatMap(({ keys }) => [keys.partition, keys.list, keys.refusal]),
        )
        const evictions = accounts.map(({ id: homeAccountId, keys: { partition, list, refusal } }) => {
          const listed = listedRecords(recordIn(this.#records.open(stored.get(list), list)))
          // What an assertion acquired has no refresh token. It stays, to refuse the assertion, until it expires.
          dead.push(partition, ...listed.map(({ key }) => key).filter(isLongRunning))
          dead.push(...[list, refusal].filter((key) => stored.get(key) !== undefined))
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
