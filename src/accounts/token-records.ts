import { isString, parseJson } from '../guards.ts'
import { accountKeys, isAccountsTokenRecord, isLongRunning, refusalKey } from '../records/key-names.ts'
import type { Release } from '../records/locks.ts'
import { digestOf, type StoredRecord } from '../records/record.ts'
import type { Records } from '../records/records.ts'
import { type CurrentGeneration, decodeGeneration, isValid } from './generation.ts'
import { joinLinks, type Links, linkRows, type NamedLink, namedLinks, type ProviderSession } from './links.ts'

/** What the store held under one key at one moment. */
export interface TokenSnapshot {
  /** The record, if it is valid. */
  readonly record: StoredRecord | undefined
  /** There is a record, and its account was evicted since. */
  readonly isEnded: boolean
  /** What the store says of the generation of the record's account; `none` without an account. */
  readonly current: CurrentGeneration
  /** The digests of refresh tokens that their provider has refused. */
  readonly refused: readonly string[]
  /** When a record written on the strength of this snapshot expires at the latest, in epoch milliseconds. */
  readonly expiresAt: number
}

/**
 * Records with tokens apart from the accounts' partitions: an application's own tokens, which belong to no account,
 * and tokens acquired on behalf of a user, which name the generation record of their account and are valid as long as
 * that says so.
 */
export class TokenRecords {
  readonly #records: Records
  readonly #links: Links
  readonly #ttl: number

  /** @param ttl milliseconds */
  constructor(records: Records, links: Links, ttl: number) {
    this.#records = records
    this.#links = links
    this.#ttl = ttl
  }

  async load(key: string, timeout?: number): Promise<TokenSnapshot> {
    // From before the reads: an eviction that they did not see outlives what is written after them.
    const expiresAt = Date.now() + this.#ttl
    const keys = isLongRunning(key) ? [key, refusalKey(key)] : [key]
    const found = await this.#records.read(keys, timeout)
    const record = found.get(key)
    const refused = refusedTokens(found.get(refusalKey(key)))
    if (record?.generationKey === undefined) {
      return { record, refused, isEnded: false, current: { kind: 'none' }, expiresAt }
    }
    const { generationKey } = record
    const stored = await this.#records.readRaw([generationKey], timeout)
    const current = decodeGeneration(stored.get(generationKey), generationKey)
    const isEnded = record.generation === undefined || !isValid(record.generation, current)
    return { record: isEnded ? undefined : record, refused, isEnded, current, expiresAt }
  }

  /** As {@link load}, with the record's lock. */
  loadForWrite(key: string): Promise<{ loaded: TokenSnapshot; unlock: Release }> {
    return this.#records.loadForWrite(key, (timeout) => this.load(key, timeout))
  }

  /**
   * A record of an account stands on the list by which an eviction finds it, and is linked as a sign-in is, so that what
   * ends that finds it too.
   * @param owner whose record it is; undefined for an application's own
   */
  async write(record: StoredRecord, owner?: TokenOwner): Promise<void> {
    const { key, generation, generationKey, expiresAt } = record
    if (owner === undefined || generation === undefined || generationKey === undefined) {
      return this.#records.write([record])
    }
    const { homeAccountId, sessions } = owner
    const added = this.#links.nameAll(sessions)
    const linkKeys = added.map((link) => link.key)
    await this.#withList(key, generationKey, linkKeys, async (list, others, stored) => {
      const links = await this.#links.recordsOf(added, { homeAccountId, generation, expiresAt }, stored)
      const named = linkRows(joinLinks(list.links, added))
      await this.#records.write([record, listRecord(list.key, [...others, record], named), ...links])
    })
  }

  /** A record of an account also leaves the list. */
  async delete({ key, generationKey }: Pick<StoredRecord, 'key' | 'generationKey'>): Promise<void> {
    if (generationKey === undefined) return this.#records.delete([key])
    await this.#withList(key, generationKey, [], async (list, others) => {
      await this.#records.delete(others.length === 0 ? [key, list.key] : [key])
      if (others.length > 0) await this.#records.write([listRecord(list.key, others, linkRows(list.links))])
    })
  }

  /**
   * Hides refresh tokens that their provider has refused for good from every load. It is a record of its own, and names
   * them by their digests: a token that somebody has stored meanwhile is another one, and stays.
   * @param key of the record that they are in
   */
  async refuse(key: string, tokens: readonly string[]): Promise<void> {
    const body = JSON.stringify(tokens.map(digestOf))
    const expiresAt = Date.now() + this.#ttl
    await this.#records.write([{ key: refusalKey(key), generation: undefined, expiresAt, body }])
  }

  /** @param change is given the account's list, all else that is on it, and what the links hold */
  async #withList(
    key: string,
    generationKey: string,
    linkKeys: readonly string[],
    change: (
      list: { readonly key: string; readonly links: NamedLink[] },
      others: ListedRecord[],
      stored: ReadonlyMap<string, unknown>,
    ) => Promise<void>,
  ): Promise<void> {
    const { list } = accountKeys(generationKey)
    const { loaded, unlock } = await this.#records.loadForWrite(list, (timeout) =>
      this.#records.readRaw([...new Set([list, ...linkKeys])], timeout),
    )
    try {
      const record = this.#records.openAll([list], loaded).get(list)
      const others = listedRecords(record).filter((each) => each.key !== key)
      await change({ key: list, links: namedLinks(record?.links) }, others, loaded)
    } finally {
      unlock()
    }
  }
}

/** Whose token record it is, and the provider's sessions that its ID tokens name. */
export interface TokenOwner {
  readonly homeAccountId: string
  readonly sessions: readonly ProviderSession[]
}

/** The digests in a refusal's record; none if it cannot be read. */
export function refusedTokens(refusal: StoredRecord | undefined): string[] {
  const digests = refusal && parseJson(refusal.body)
  return Array.isArray(digests) ? digests.filter(isString) : []
}

/** A token record of an account: its key, and when it expires, in epoch milliseconds. */
export interface ListedRecord {
  readonly key: string
  readonly expiresAt: number
}

/** The most that an eviction can find; the oldest go first, and are dead until they expire. */
const MOST_LISTED = 500

/** An account's token records that have not expired; none if the list cannot be read. */
export function listedRecords(list: StoredRecord | undefined): ListedRecord[] {
  const rows = list && parseJson(list.body)
  if (!Array.isArray(rows)) return []
  const now = Date.now()
  return rows.flatMap((row: unknown) => {
    const [key, expiresAt] = Array.isArray(row) ? (row as unknown[]) : []
    // Whatever wrote the list: an eviction deletes nothing else by it.
    const isListed = typeof key === 'string' && isAccountsTokenRecord(key)
    return isListed && typeof expiresAt === 'number' && expiresAt > now ? [{ key, expiresAt }] : []
  })
}

/** @param listed at least one; the last was written last */
export function listRecord(
  key: string,
  listed: readonly ListedRecord[],
  links: readonly unknown[] = [],
): StoredRecord {
  const kept = listed.slice(-MOST_LISTED)
  const expiresAt = Math.max(...kept.map((each) => each.expiresAt))
  const body = JSON.stringify(kept.map((each) => [each.key, each.expiresAt]))
  return { key, generation: undefined, links, expiresAt, body }
}
