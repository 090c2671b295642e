import { randomBytes } from 'node:crypto'
import { isString, parseJson } from '../guards.ts'
import { type KeyNames, linkKind } from '../records/key-names.ts'
import type { StoredRecord } from '../records/record.ts'
import { type Records, recordIn } from '../records/records.ts'
import { GENERATION_LIFETIME } from './generation.ts'
import type { SignInRef } from './identity.ts'
import type { LinkedAccount, Links, SessionLink } from './links.ts'

/** One of the provider's sessions that lead to an account, as far as the records say. It holds no secret. */
export interface SessionInfo {
  /** `iss` of its ID tokens. */
  issuer: string
  /** Whether an ID token names it, by `sid`, or only the authorization response did, by `session_state`. */
  namedBy: 'sid' | 'session_state'
  /** When it was stored first. */
  firstSeen?: Date | undefined
  /** When one of its account's sign-ins or refreshes was stored last. */
  lastSeen?: Date | undefined
  /** When it is forgotten, unless the account is used before. */
  expiresAt: Date
  /** Whether it is the session that was asked with. */
  isCurrent: boolean
}

/** The most sign-ins of one provider's session that go on after it was ended once: the oldest leave first. */
const MOST_SIGN_INS = 8

/**
 * The provider's sessions of an account, one by one. To end one writes a mark, which every load with a host session of
 * it reads; a sign-in through the same session later adds itself to the mark.
 */
export class Sessions {
  readonly #records: Records
  readonly #names: KeyNames
  readonly #links: Links

  constructor(records: Records, names: KeyNames, links: Links) {
    this.#records = records
    this.#names = names
    this.#links = links
  }

  /** The key of the mark that would end a host session, if that names a session of the provider. */
  markKey({ homeAccountId, sid }: SignInRef): string | undefined {
    return sid === undefined ? undefined : this.#names.endedSession(homeAccountId, sid)
  }

  /**
   * A host session that begins now, in the provider's session that the account was loaded with.
   * @returns its id, and the record to write where the provider's session was ended before
   */
  begin({ mark }: { readonly mark: SessionMark | undefined }): { id: string; records: StoredRecord[] } {
    const id = randomBytes(12).toString('base64url')
    if (mark === undefined) return { id, records: [] }
    return { id, records: [markRecord(mark.key, [...mark.signIns, id].slice(-MOST_SIGN_INS))] }
  }

  /** Marks one session of each of these accounts as ended. */
  async end(homeAccountIds: readonly string[], sid: string): Promise<void> {
    const keys = homeAccountIds.map((id) => this.#names.endedSession(id, sid))
    await this.#records.write(keys.map((key) => markRecord(key, [])))
  }

  /** @param sid of the session that is asked with */
  describe({ key, link }: SessionLink, sid: string | undefined): SessionInfo {
    const { issuer, firstSeen, lastSeen, expiresAt, sidDigest } = link
    return {
      issuer,
      namedBy: linkKind(key) === 'signed' ? 'sid' : 'session_state',
      ...(firstSeen === undefined ? {} : { firstSeen: new Date(firstSeen) }),
      ...(lastSeen === undefined ? {} : { lastSeen: new Date(lastSeen) }),
      expiresAt: new Date(expiresAt),
      isCurrent: sid !== undefined && sidDigest === this.#names.sidDigest(sid),
    }
  }

  /** The sessions of each of these accounts that have not ended. */
  async list(accounts: readonly LinkedAccount[]): Promise<SessionLink[][]> {
    const sessions = await this.#links.sessionsOf(accounts)
    const marked = sessions.map((each, index) =>
      each.map((session) => {
        const { homeAccountId = '' } = accounts[index] ?? {}
        return { session, key: this.#names.endedSessionOf(homeAccountId, session.link.sidDigest ?? '') }
      }),
    )
    const stored = await this.#records.readRaw(marked.flat().map(({ key }) => key))
    const isLive = ({ key }: { readonly key: string }) => {
      const mark = markIn(this.#records, stored.get(key), key)
      return mark === undefined || mark.signIns.length > 0
    }
    return marked.map((each) => each.filter(isLive).map(({ session }) => session))
  }
}

/** The mark of a session that was ended, and the sign-ins through it that came later. */
export interface SessionMark {
  readonly key: string
  readonly signIns: readonly string[]
}

/** The mark in what the store holds in its place. One that says nothing readable ends them all. */
export function markIn(records: Records, value: unknown, key: string): SessionMark | undefined {
  if (value === undefined) return undefined
  const record = recordIn(records.open(value, key))
  const signIns = record && parseJson(record.body)
  return { key, signIns: Array.isArray(signIns) ? signIns.filter(isString) : [] }
}

function markRecord(key: string, signIns: readonly string[]): StoredRecord {
  const expiresAt = Date.now() + GENERATION_LIFETIME
  return { key, generation: undefined, expiresAt, body: JSON.stringify(signIns) }
}
