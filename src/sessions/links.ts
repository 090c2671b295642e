import type { StoredRecord } from '../partitions/record.ts'
import type { KeyNames } from '../store/key-names.ts'

/** A session at the provider, as an ID token or an authorization response names it. */
export interface ProviderSession {
  /** `iss`. */
  readonly issuer: string
  /** `sid`, or `session_state` where the ID token has none. */
  readonly sid: string | undefined
  /** `sub`. */
  readonly subject: string | undefined
}

/** One account that a session leads to, and the sign-in that it belongs to. */
export interface Link {
  readonly homeAccountId: string
  readonly generation: string
  readonly issuer: string
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

/** The most session links that one account's record keeps alive; the oldest go first. */
const MOST_LINKS = 32
/** The most that one session or person can lead to: what a browser sends as `session_state` is its own choice. */
const MOST_ACCOUNTS = 64
const GUID_SEGMENT = /\/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?=\/|$)/i

/**
 * Session links: what a logout callback names (`sid`, or `sub`), and the accounts that it means. One person can have
 * several, by B2C's user flows.
 */
export class SessionLinks {
  readonly #names: KeyNames

  constructor(names: KeyNames) {
    this.#names = names
  }

  /**
   * The key of a session's link. Entra ID's callback names a session without the tenant, so the issuers of all
   * tenants share one, and each link says which issuer it is of.
   */
  sidKey(issuer: string, sid: string): string {
    return this.#names.session('sid', issuer.replace(GUID_SEGMENT, '/{tenantid}'), sid)
  }

  /** The key of a person's link, for callbacks that name all sessions of a subject. */
  subjectKey(issuer: string, subject: string): string {
    return this.#names.session('sub', issuer.replace(GUID_SEGMENT, '/{tenantid}'), subject)
  }

  /** The issuers that name these sessions, by the key of the link: a guest's two tenants may share one `sid`. */
  keysOf(sessions: readonly ProviderSession[]): Map<string, Set<string>> {
    const keys = new Map<string, Set<string>>()
    const add = (key: string, issuer: string) => keys.set(key, (keys.get(key) ?? new Set()).add(issuer))
    for (const { issuer, sid, subject } of sessions) {
      if (sid !== undefined) add(this.sidKey(issuer, sid), issuer)
      if (subject !== undefined) add(this.subjectKey(issuer, subject), issuer)
    }
    return keys
  }
}

/** All links that an account's record keeps alive from now on: those it had, and new ones behind them. */
export function keptLinks(known: readonly string[], added: Iterable<string>): string[] {
  const fresh = [...new Set(added)]
  return [...known.filter((key) => !fresh.includes(key)), ...fresh].slice(-MOST_LINKS)
}

/** The record of a link after one account's commit; other accounts' links stay until they expire. */
export function linkRecord(
  key: string,
  stored: StoredRecord | undefined,
  own: readonly [Link, ...Link[]],
  now: number,
): StoredRecord {
  const [{ homeAccountId: account }] = own
  const others = readLinks(stored).filter(
    ({ homeAccountId, expiresAt }) => homeAccountId !== account && expiresAt > now,
  )
  const links = [...others, ...own].slice(-MOST_ACCOUNTS)
  const expiresAt = Math.max(...links.map((each) => each.expiresAt))
  const body = JSON.stringify(
    links.map((each) => [each.homeAccountId, each.generation, each.issuer, each.expiresAt]),
  )
  return { key, generation: undefined, expiresAt, body }
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
