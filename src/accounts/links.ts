import { report } from '../diagnostics.ts'
import { GUID, isString, parseJson } from '../guards.ts'
import { type KeyNames, type LinkKind, linkKind } from '../records/key-names.ts'
import type { StoredRecord } from '../records/record.ts'
import type { Records } from '../records/records.ts'
import { decodeGeneration, isValid } from './generation.ts'

/** Whose sign-in an ID token, with its authorization response, says it was: all that a sign-out may name later. */
export interface ProviderSession {
  /** `iss`. */
  readonly issuer: string
  /** `sid` of the ID token. */
  readonly sid?: string | undefined
  /** `session_state` of the authorization response, where the ID token has no `sid`. */
  readonly sessionState?: string | undefined
  /** `sub`. */
  readonly subject?: string | undefined
  /** Entra ID's `tid` and `oid`. */
  readonly directoryUser?: DirectoryUser | undefined
}

/** A user of a directory, a home user or a guest. */
export interface DirectoryUser {
  readonly tenantId: string
  readonly objectId: string
}

/** One account that a session, subject or directory user leads to, and the sign-in that it belongs to. */
export interface Link {
  readonly homeAccountId: string
  readonly generation: string
  readonly issuer: string
  /** Epoch milliseconds, like the others. */
  readonly expiresAt: number
  /** When it was written first, and last; undefined in records of a release that did not say so. */
  readonly firstSeen: number | undefined
  readonly lastSeen: number | undefined
  /** Of the session that it leads from: names the mark that ends that session. */
  readonly sidDigest: string | undefined
}

/** A sign-in, and the keys of the links that lead to its account. */
export interface LinkedAccount {
  readonly homeAccountId: string
  readonly generation: string
  readonly keys: readonly string[]
}

/** A session's link, and its key. */
export interface SessionLink {
  readonly key: string
  readonly link: Link
}

/** The most links that one account's partition keeps alive; the oldest go first. */
const MOST_LINKS = 32
/** The most accounts that one link can lead to, where the provider's ID tokens say so. */
const MOST_ACCOUNTS = 64
/** The most that a `session_state` can lead to: it is not signed, and a browser sends what it likes. */
const MOST_UNSIGNED = 4
const GUID_SEGMENT = new RegExp(`/${GUID}(?=/|$)`, 'i')

/**
 * Links lead from what a sign-out names, a session, a subject or a directory user, to accounts. One person can have
 * several accounts, by B2C's user flows.
 */
export class Links {
  readonly #records: Records
  readonly #names: KeyNames

  constructor(records: Records, names: KeyNames) {
    this.#records = records
    this.#names = names
  }

  /** The sessions, by the keys of their links: a guest's two tenants may share one `sid`. */
  keysOf(sessions: readonly ProviderSession[]): Map<string, ProviderSession[]> {
    const keys = new Map<string, ProviderSession[]>()
    for (const session of sessions) {
      for (const key of this.#keysOf(session)) keys.set(key, [...(keys.get(key) ?? []), session])
    }
    return keys
  }

  /** The keys of the links that a sign-out through this session may come by. */
  sessionKeys(issuer: string, sid: string): string[] {
    return this.#keysOf({ issuer, sid, sessionState: sid })
  }

  /**
   * Where a callback's session leads, or its subject if it names no session; and whether the callback's logout token
   * was carried out before.
   * @param jti the logout token's id
   */
  async find(
    { issuer, sid, subject }: ProviderSession,
    jti: string | undefined,
  ): Promise<{ links: Link[]; isReplay: boolean }> {
    const keys = sid === undefined ? this.#keysOf({ issuer, subject }) : this.sessionKeys(issuer, sid)
    const mark = jti === undefined ? undefined : this.#names.replayMark(issuer, jti)
    const found = await this.#records.read(mark === undefined ? keys : [...keys, mark])
    return { links: liveLinks(keys, found), isReplay: mark !== undefined && found.has(mark) }
  }

  /** Where a directory user leads. */
  async findDirectoryUser({ tenantId, objectId }: DirectoryUser): Promise<Link[]> {
    const keys = [this.#names.link('directory', tenantId, objectId)]
    return liveLinks(keys, await this.#records.read(keys))
  }

  /** The links of sessions that lead to each of these sign-ins. */
  async sessionsOf(accounts: readonly LinkedAccount[]): Promise<SessionLink[][]> {
    const isSession = (key: string) => linkKind(key) !== 'other'
    const all = new Set(accounts.flatMap(({ keys }) => keys.filter(isSession)))
    const found = await this.#records.read([...all])
    return accounts.map(({ homeAccountId, generation, keys }) =>
      keys.filter(isSession).flatMap((key) =>
        liveLinks([key], found)
          .filter((link) => link.homeAccountId === homeAccountId && link.generation === generation)
          .map((link) => ({ key, link })),
      ),
    )
  }

  /** Remembers that a logout token was carried out, until it is no longer accepted. */
  async markCarriedOut({ issuer, jti, expiresAt }: { issuer: string; jti: string; expiresAt: Date }) {
    const key = this.#names.replayMark(issuer, jti)
    await this.#records.write([{ key, generation: undefined, expiresAt: expiresAt.getTime(), body: '' }])
  }

  /**
   * The records of an account's links after a commit.
   * @param sessions that the account's ID tokens name
   * @param known the keys of the links that the account had
   * @param read the links that were read with the account
   * @returns the records, and the keys of all that the account keeps alive from now on
   */
  async renew(
    own: Pick<Link, 'homeAccountId' | 'generation' | 'expiresAt'>,
    sessions: readonly ProviderSession[],
    known: readonly string[],
    read: ReadonlyMap<string, StoredRecord | undefined>,
  ): Promise<{ records: StoredRecord[]; keys: string[] }> {
    const named = this.keysOf(sessions)
    const unread = [...named.keys()].filter((key) => !read.has(key))
    const stored = new Map([...read, ...(await this.#records.read(unread))])
    const keys = keptLinks(known, named.keys())
    const records: StoredRecord[] = []
    for (const key of keys) {
      const links = readLinks(stored.get(key))
      const mine = this.#renewed(links, own, named.get(key) ?? [])
      // Without a known issuer it was not read, and slides with a later write.
      if (mine.length === 0) continue
      const most = linkKind(key) === 'unsigned' ? MOST_UNSIGNED : MOST_ACCOUNTS
      const others = links.filter(({ homeAccountId }) => homeAccountId !== own.homeAccountId)
      const all = [...(await this.#live(others, most)), ...mine]
      // In an unsigned one the first stay: else an attacker could push them out.
      records.push(linkRecord(key, most === MOST_UNSIGNED ? all.slice(0, most) : all.slice(-most)))
    }
    return { records, keys }
  }

  #keysOf({ issuer, sid, sessionState, subject, directoryUser }: ProviderSession): string[] {
    // Entra ID's callback names a session without the tenant, so the issuers of all tenants share a key.
    const anyTenant = issuer.replace(GUID_SEGMENT, '/{tenantid}')
    const key = (kind: LinkKind, realm: string, value: string | undefined) =>
      value === undefined ? [] : [this.#names.link(kind, realm, value)]
    return [
      ...key('sid', anyTenant, sid),
      ...key('session_state', anyTenant, sessionState),
      ...key('sub', anyTenant, subject),
      ...key('directory', directoryUser?.tenantId ?? '', directoryUser?.objectId),
    ]
  }

  /** An account's own links after a commit: one for each issuer that is known to name the session. */
  #renewed(
    links: readonly Link[],
    own: Pick<Link, 'homeAccountId' | 'generation' | 'expiresAt'>,
    sessions: readonly ProviderSession[],
  ): Link[] {
    const now = Date.now()
    const known = links.filter(({ homeAccountId }) => homeAccountId === own.homeAccountId)
    const issuers = new Set([...known, ...sessions].map(({ issuer }) => issuer))
    return [...issuers].map((issuer) => {
      const before = known.find((link) => link.issuer === issuer && link.generation === own.generation)
      const session = sessions.find((each) => each.issuer === issuer)
      const sid = session?.sid ?? session?.sessionState
      const sidDigest = sid === undefined ? before?.sidDigest : this.#names.sidDigest(sid)
      return { ...own, issuer, firstSeen: before?.firstSeen ?? now, lastSeen: now, sidDigest }
    })
  }

  /** Those that have not expired; if they are too many, only those whose sign-in has not ended. */
  async #live(links: readonly Link[], most: number): Promise<Link[]> {
    const now = Date.now()
    const live = links.filter(({ expiresAt }) => expiresAt > now)
    if (live.length < most) return live
    const keyOf = ({ homeAccountId }: Link) => this.#names.account(homeAccountId).generation
    const stored = await this.#records.readRaw(live.map(keyOf))
    return live.filter((link) =>
      isValid(link.generation, decodeGeneration(stored.get(keyOf(link)), keyOf(link))),
    )
  }
}

/** All links that an account's partition keeps alive from now on: those it had, and new ones behind them. */
export function keptLinks(known: readonly string[], added: Iterable<string>): string[] {
  const fresh = [...new Set(added)]
  return [...known.filter((key) => !fresh.includes(key)), ...fresh].slice(-MOST_LINKS)
}

function linkRecord(key: string, links: readonly Link[]): StoredRecord {
  const rows = links.map((link) => [
    link.homeAccountId,
    link.generation,
    link.issuer,
    link.expiresAt,
    link.firstSeen,
    link.lastSeen,
    link.sidDigest,
  ])
  const expiresAt = Math.max(...links.map((link) => link.expiresAt))
  return { key, generation: undefined, expiresAt, body: JSON.stringify(rows) }
}

function liveLinks(keys: readonly string[], found: ReadonlyMap<string, StoredRecord>): Link[] {
  const now = Date.now()
  return keys.flatMap((key) => readLinks(found.get(key))).filter(({ expiresAt }) => expiresAt > now)
}

/** What a link's record leads to; nothing if it cannot be read. */
export function readLinks(stored: StoredRecord | undefined): Link[] {
  const rows = stored && parseJson(stored.body)
  return Array.isArray(rows) ? rows.flatMap(readLink) : []
}

function readLink(row: unknown): Link[] {
  if (!Array.isArray(row)) return []
  const [homeAccountId, generation, issuer, expiresAt, first, last, digest] = row as unknown[]
  const isNamed = isString(homeAccountId) && isString(generation) && isString(issuer)
  if (!isNamed || typeof expiresAt !== 'number') return []
  const firstSeen = typeof first === 'number' ? first : undefined
  const lastSeen = typeof last === 'number' ? last : undefined
  const sidDigest = isString(digest) ? digest : undefined
  return [{ homeAccountId, generation, issuer, expiresAt, firstSeen, lastSeen, sidDigest }]
}

/** Maximum number of remembered issuers: one for each tenant that signs in. */
const MOST_SEEN = 100

/**
 * The issuers of this process's sign-ins, beside those whose logout callbacks it takes. A handler for an issuer that no
 * ID token has, by a trailing slash or another version, would find no account, in silence.
 */
export class Issuers {
  readonly #seen = new Set<string>()
  readonly #handled: ((issuer: string) => boolean)[] = []

  /** A logout handler takes callbacks of the issuers that this matches. */
  handle(matches: (issuer: string) => boolean): void {
    this.#handled.push(matches)
  }

  /** A sign-in of this issuer was stored. */
  see(issuer: string): void {
    if (this.#seen.has(issuer) || this.#seen.size >= MOST_SEEN) return
    this.#seen.add(issuer)
    if (this.#handled.length > 0 && !this.#handled.some((matches) => matches(issuer))) {
      report('msal-keyv:issuer-mismatch', { issuer })
    }
  }

  /** An issuer that was seen, if no handler takes callbacks of any that was; else undefined. */
  get mismatch(): string | undefined {
    const [first] = this.#seen
    const isHandled = [...this.#seen].some((issuer) => this.#handled.some((matches) => matches(issuer)))
    return isHandled ? undefined : first
  }
}
