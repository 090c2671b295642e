import { report } from '../diagnostics.ts'
import { GUID, isText, parseJson } from '../guards.ts'
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

/** A link, as the account that it leads to names it in its own record: what is lost is written again from there. */
export interface NamedLink {
  readonly key: string
  readonly issuer: string
  /** Of a link that leads from a session. */
  readonly session?: NamedSession | undefined
}

/** One of the provider's sessions of an account. */
export interface NamedSession {
  readonly digest: string
  /** It lives as long as its epoch record says this, or as there is none. */
  readonly epoch: string
  /** When it signed in first, and when it signed in or refreshed a token last; epoch milliseconds. */
  readonly firstSeen: number
  readonly lastSeen: number
}

/** One account that a session, subject or directory user leads to, and the sign-in that wrote it there. */
export interface Link {
  readonly key: string
  readonly homeAccountId: string
  readonly generation: string
  readonly issuer: string
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

/** The most links of sessions that one account keeps alive, and the most others; the oldest go first. */
const MOST_LINKS = 16
/** The most accounts that one link can lead to, where the provider's ID tokens say so. */
const MOST_ACCOUNTS = 64
/** The most that a `session_state` can lead to: it is not signed, and a browser sends what it likes. */
const MOST_UNSIGNED = 4
const GUID_SEGMENT = new RegExp(`/${GUID}(?=/|$)`, 'i')

/**
 * Links lead from what a sign-out names, a session, a subject or a directory user, to accounts. One person can have
 * several accounts, by B2C's user flows.
 *
 * They are an index: accounts that share one write it without regard to one another, and a row that is lost so is
 * written again by its account's next write.
 */
export class Links {
  readonly #records: Records
  readonly #names: KeyNames

  constructor(records: Records, names: KeyNames) {
    this.#records = records
    this.#names = names
  }

  /** The keys of all links that lead from these sessions. */
  keysOf(sessions: readonly ProviderSession[]): string[] {
    return [...new Set(sessions.flatMap((session) => this.#keysOf(session)))]
  }

  /**
   * Where a callback's session leads, and where its subject does; and whether its logout token was carried out before.
   * One store call.
   * @param jti the logout token's id
   */
  async find(
    { issuer, sid, subject }: ProviderSession,
    jti: string | undefined,
  ): Promise<{ bySession: Link[]; bySubject: Link[]; isReplay: boolean }> {
    // It may be a session that ID tokens name, or one that only a browser does.
    const session = this.#keysOf({ issuer, sid, sessionState: sid })
    const person = this.#keysOf({ issuer, subject })
    const mark = jti === undefined ? [] : [this.#names.replayMark(issuer, jti)]
    const found = await this.#records.read([...session, ...person, ...mark])
    return {
      bySession: liveLinks(session, found),
      bySubject: liveLinks(person, found),
      isReplay: mark.some((key) => found.has(key)),
    }
  }

  /** Where a directory user leads. */
  async findDirectoryUser({ tenantId, objectId }: DirectoryUser): Promise<Link[]> {
    const keys = [this.#names.link('directory', tenantId, objectId)]
    return liveLinks(keys, await this.#records.read(keys))
  }

  /**
   * Remembers that a logout token was carried out, until it is no longer accepted. One store call.
   * @throws {StoreUnavailableError}
   */
  async markCarriedOut({ issuer, jti, expiresAt }: { issuer: string; jti: string; expiresAt: Date }) {
    const key = this.#names.replayMark(issuer, jti)
    await this.#records.write([{ key, generation: undefined, expiresAt: expiresAt.getTime(), body: '' }])
  }

  /**
   * The links that lead from these sessions, for an account to name.
   * @param epochOf a session's epoch, by its digest; undefined for one that is not to be named
   * @param seenAt epoch milliseconds
   */
  name(
    sessions: readonly ProviderSession[],
    epochOf: (digest: string) => string | undefined,
    seenAt: number,
  ): NamedLink[] {
    return sessions.flatMap((session) =>
      this.#keysOf(session).flatMap((key) => {
        const { issuer } = session
        const digest = this.digestOf(session)
        if (digest === undefined || linkKind(key) === 'other') return [{ key, issuer }]
        const epoch = epochOf(digest)
        if (epoch === undefined) return []
        return [{ key, issuer, session: { digest, epoch, firstSeen: seenAt, lastSeen: seenAt } }]
      }),
    )
  }

  /** As {@link name}, for tokens that a session does not end by itself. */
  nameAll(sessions: readonly ProviderSession[]): NamedLink[] {
    return sessions.flatMap(({ issuer, ...session }) =>
      this.#keysOf({ ...session, issuer }).map((key) => ({ key, issuer })),
    )
  }

  /** What a session's epoch is called by; undefined without a session. */
  digestOf({ sid, sessionState = sid }: ProviderSession): string | undefined {
    const name = sid ?? sessionState
    return name === undefined ? undefined : this.#names.sidDigest(name)
  }

  /**
   * The links' records, with an account in them. One store call if one leads to as many accounts as it can.
   * @param named by the account
   * @param stored what each of them holds now
   * @throws {StoreUnavailableError}
   */
  async recordsOf(
    named: readonly NamedLink[],
    own: Omit<Link, 'key' | 'issuer'>,
    stored: ReadonlyMap<string, unknown>,
  ): Promise<StoredRecord[]> {
    const keys = [...new Set(named.map(({ key }) => key))]
    const found = this.#records.openAll(keys, stored)
    const records: StoredRecord[] = []
    for (const key of keys) {
      const links = readLinks(found.get(key))
      const mine = ownLinks(key, links, named, own)
      const most = linkKind(key) === 'unsigned' ? MOST_UNSIGNED : MOST_ACCOUNTS
      const others = links.filter(({ homeAccountId }) => homeAccountId !== own.homeAccountId)
      const all = [...(await this.#live(others, most)), ...mine]
      // In an unsigned one the first stay: else an attacker could push them out.
      records.push(linkRecord(key, most === MOST_UNSIGNED ? all.slice(0, most) : all.slice(-most)))
    }
    return records
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

  /** Those that have not expired; where they are too many, only those whose sign-in has not ended. */
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

/** An account's own rows under a key. One of the same sign-in lives on as long as it would have: it may lead to other tokens. */
function ownLinks(
  key: string,
  links: readonly Link[],
  named: readonly NamedLink[],
  own: Omit<Link, 'key' | 'issuer'>,
): Link[] {
  const { homeAccountId, generation, expiresAt } = own
  const before = links.filter(
    (each) => each.homeAccountId === homeAccountId && each.generation === generation,
  )
  const rows = new Map(before.map((each) => [each.issuer, each]))
  for (const { issuer } of named.filter((each) => each.key === key)) {
    const latest = Math.max(expiresAt, rows.get(issuer)?.expiresAt ?? 0)
    rows.set(issuer, { key, issuer, homeAccountId, generation, expiresAt: latest })
  }
  return [...rows.values()]
}

/** All links that an account names from now on: those it had, and new ones behind them. */
export function joinLinks(known: readonly NamedLink[], added: readonly NamedLink[]): NamedLink[] {
  const links = new Map<string, NamedLink>()
  for (const link of [...known, ...added]) {
    const name = `${link.key} ${link.issuer}`
    const before = links.get(name)?.session
    links.delete(name)
    const isSame = before !== undefined && before.epoch === link.session?.epoch
    links.set(name, isSame ? { ...link, session: { ...link.session, firstSeen: before.firstSeen } } : link)
  }
  const all = [...links.values()]
  return [
    ...all.filter(({ session }) => session === undefined).slice(-MOST_LINKS),
    ...all.filter(({ session }) => session !== undefined).slice(-MOST_LINKS),
  ]
}

/** As a record's header has them. */
export function linkRows(links: readonly NamedLink[]): unknown[] {
  return links.map(({ key, issuer, session }) =>
    session === undefined
      ? [key, issuer]
      : [key, issuer, session.digest, session.epoch, session.firstSeen, session.lastSeen],
  )
}

/** What a record's header names; nothing for a row that says nothing readable. */
export function namedLinks(rows: readonly unknown[] = []): NamedLink[] {
  return rows.flatMap((row) => {
    const [key, issuer, digest, epoch, firstSeen, lastSeen] = Array.isArray(row) ? (row as unknown[]) : []
    if (!isText(key) || !isText(issuer)) return []
    const isSession =
      isText(digest) && isText(epoch) && typeof firstSeen === 'number' && typeof lastSeen === 'number'
    return [{ key, issuer, ...(isSession ? { session: { digest, epoch, firstSeen, lastSeen } } : {}) }]
  })
}

function linkRecord(key: string, links: readonly Link[]): StoredRecord {
  const rows = links.map((link) => [link.homeAccountId, link.generation, link.issuer, link.expiresAt])
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
  return Array.isArray(rows) ? rows.flatMap((row) => readLink(stored?.key ?? '', row)) : []
}

function readLink(key: string, row: unknown): Link[] {
  const [homeAccountId, generation, issuer, expiresAt] = Array.isArray(row) ? (row as unknown[]) : []
  const isReadable =
    isText(homeAccountId) && isText(generation) && isText(issuer) && typeof expiresAt === 'number'
  return isReadable ? [{ key, homeAccountId, generation, issuer, expiresAt }] : []
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
