import type { KeyNames } from '../records/key-names.ts'
import type { StoredRecord } from '../records/record.ts'
import type { Records } from '../records/records.ts'

/** A session at the provider, as an ID token or an authorization response names it. */
export interface ProviderSession {
  /** `iss`. */
  readonly issuer: string
  /** `sid`, or `session_state` where the ID token has none. */
  readonly sid: string | undefined
  /** `sub`. */
  readonly subject: string | undefined
}

/** One account that a session or a subject leads to, and the generation of the sign-in that it belongs to. */
export interface Link {
  readonly homeAccountId: string
  readonly generation: string
  readonly issuer: string
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

/** The most links that one account's partition keeps alive; the oldest go first. */
const MOST_LINKS = 32
/** The most that one session or subject can lead to: what a browser sends as `session_state` is its own choice. */
const MOST_ACCOUNTS = 64
const GUID_SEGMENT = /\/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?=\/|$)/i

/**
 * Links lead from what a logout callback names, a session (`sid`) or a subject (`sub`), to accounts. One person can
 * have several accounts, by B2C's user flows.
 */
export class Links {
  readonly #records: Records
  readonly #names: KeyNames

  constructor(records: Records, names: KeyNames) {
    this.#records = records
    this.#names = names
  }

  /** The issuers that name these sessions, by the key of the link: a guest's two tenants may share one `sid`. */
  keysOf(sessions: readonly ProviderSession[]): Map<string, Set<string>> {
    const keys = new Map<string, Set<string>>()
    const add = (key: string, issuer: string) => keys.set(key, (keys.get(key) ?? new Set()).add(issuer))
    for (const { issuer, sid, subject } of sessions) {
      if (sid !== undefined) add(this.#key('sid', issuer, sid), issuer)
      if (subject !== undefined) add(this.#key('sub', issuer, subject), issuer)
    }
    return keys
  }

  /**
   * Where a callback's session leads, or its subject if it names no session; and whether the callback's logout token
   * was carried out before. One store call.
   * @param jti the logout token's id
   * @throws {StoreUnavailableError}
   */
  async find(
    { issuer, sid, subject }: ProviderSession,
    jti: string | undefined,
  ): Promise<{ links: Link[]; isReplay: boolean }> {
    const key = sid === undefined ? this.#key('sub', issuer, subject ?? '') : this.#key('sid', issuer, sid)
    const mark = jti === undefined ? undefined : this.#names.replayMark(issuer, jti)
    const found = await this.#records.readAll(mark === undefined ? [key] : [key, mark])
    const now = Date.now()
    const links = readLinks(found.get(key)).filter(({ expiresAt }) => expiresAt > now)
    return { links, isReplay: mark !== undefined && found.has(mark) }
  }

  /**
   * Remembers that a logout token was carried out, until it is no longer accepted. One store call.
   * @throws {StoreUnavailableError}
   */
  async markCarriedOut({ issuer, jti, expiresAt }: { issuer: string; jti: string; expiresAt: Date }) {
    const key = this.#names.replayMark(issuer, jti)
    await this.#records.write({ key, generation: undefined, expiresAt: expiresAt.getTime(), body: '' })
  }

  /** Entra ID's callback names a session without the tenant, so the issuers of all tenants share a key. */
  #key(kind: 'sid' | 'sub', issuer: string, value: string): string {
    return this.#names.link(kind, issuer.replace(GUID_SEGMENT, '/{tenantid}'), value)
  }
}

/** All links that an account's partition keeps alive from now on: those it had, and new ones behind them. */
export function keptLinks(known: readonly string[], added: Iterable<string>): string[] {
  const fresh = [...new Set(added)]
  return [...known.filter((key) => !fresh.includes(key)), ...fresh].slice(-MOST_LINKS)
}

/**
 * The record of a link after one account's commit. Other accounts' links stay until they expire.
 * @param issuers that name the session, as far as this commit knows; those stored stay
 * @returns undefined where no issuer is known: the link was not read, and slides with a later write
 */
export function linkRecord(
  key: string,
  stored: StoredRecord | undefined,
  own: Omit<Link, 'issuer'>,
  issuers: ReadonlySet<string>,
): StoredRecord | undefined {
  const now = Date.now()
  const known = readLinks(stored)
  const isOwn = ({ homeAccountId }: Link) => homeAccountId === own.homeAccountId
  const named = new Set([...known.filter(isOwn).map(({ issuer }) => issuer), ...issuers])
  if (named.size === 0) return undefined
  const others = known.filter((link) => !isOwn(link) && link.expiresAt > now)
  const links = [...others, ...[...named].map((issuer) => ({ ...own, issuer }))].slice(-MOST_ACCOUNTS)
  const rows = links.map((link) => [link.homeAccountId, link.generation, link.issuer, link.expiresAt])
  const expiresAt = Math.max(...links.map((link) => link.expiresAt))
  return { key, generation: undefined, expiresAt, body: JSON.stringify(rows) }
}

/** What a link's record leads to; nothing where it says nothing readable. */
export function readLinks(stored: StoredRecord | undefined): Link[] {
  if (stored === undefined) return []
  let rows: unknown
  try {
    rows = JSON.parse(stored.body)
  } catch {
    return []
  }
  if (!Array.isArray(rows)) return []
  return rows.flatMap((row: unknown) => {
    if (!Array.isArray(row)) return []
    const [homeAccountId, generation, issuer, expiresAt] = row as unknown[]
    const readable =
      typeof homeAccountId === 'string' &&
      typeof generation === 'string' &&
      typeof issuer === 'string' &&
      typeof expiresAt === 'number'
    return readable ? [{ homeAccountId, generation, issuer, expiresAt }] : []
  })
}
