import type { Release } from '../lock.ts'
import type { StoredRecord } from '../partitions/record.ts'
import type { Records } from '../partitions/records.ts'
import { type AccountPartition, type AccountSnapshot, PartitionRepository } from '../partitions/repository.ts'
import type { KeyNames } from '../store/key-names.ts'
import { keptLinks, linkRecord, type ProviderSession, readLinks, SessionLinks } from './links.ts'

/** An account as it was loaded for a write, with the session links that were read in the same store call. */
export interface LinkedSnapshot extends AccountSnapshot {
  readonly linksRead: ReadonlySet<string>
}

/** What to store for one account, but for its links. */
export interface LinkedCommit {
  readonly generation: string
  readonly cache: string
  /** When the cache is of no more use, in epoch milliseconds; its record expires then, or with `ttl`. */
  readonly expiresAt: number
}

/**
 * The accounts' partitions, and the links of the provider's sessions to them: read and written in the same store
 * calls, so that a link slides and expires with the partition it leads to.
 */
export class LinkedPartitions extends PartitionRepository {
  readonly links: SessionLinks
  readonly #records: Records

  constructor(records: Records, names: KeyNames, ttl: number) {
    super(records, names, ttl)
    this.links = new SessionLinks(names)
    this.#records = records
  }

  /**
   * Loads an account with its lock. One store call.
   * @param linkKeys the links that the write may have to renew
   * @throws {StoreUnavailableError} without the lock
   */
  async loadLinked(
    homeAccountId: string,
    linkKeys: readonly string[],
  ): Promise<{ snapshot: LinkedSnapshot; unlock: Release }> {
    const { snapshot, unlock } = await this.loadForWrite(homeAccountId, linkKeys)
    return { snapshot: { ...snapshot, linksRead: new Set(linkKeys) }, unlock }
  }

  /**
   * Writes the partition and its links. One store call, and one before it for a session that was not to be foreseen.
   * @param sessions the provider's sessions that the cache has ID tokens of
   * @throws {StoreUnavailableError}
   */
  async commitLinked(
    homeAccountId: string,
    snapshot: LinkedSnapshot,
    { generation, cache, expiresAt: end }: LinkedCommit,
    sessions: readonly ProviderSession[],
  ): Promise<void> {
    const { partition } = snapshot
    const expiresAt = Math.min(snapshot.expiresAt, end)
    const current = this.links.keysOf(sessions)
    const unread = [...current.keys()].filter((key) => !snapshot.linksRead.has(key))
    const read = new Map([...snapshot.others, ...(await this.#records.readAll(unread))])
    const kept = keptLinks(partition?.sessions ?? [], current.keys())
    const alongside: StoredRecord[] = []
    for (const key of kept) {
      const stored = read.get(key)
      // A link that was not read slides with a later write.
      const issuers = new Set([...issuersOf(stored, homeAccountId), ...(current.get(key) ?? [])])
      const [first, ...others] = [...issuers].map((issuer) => ({
        homeAccountId,
        generation,
        issuer,
        expiresAt,
      }))
      if (first !== undefined) alongside.push(linkRecord(key, stored, [first, ...others], Date.now()))
    }
    await this.commit(homeAccountId, { generation, cache, expiresAt, sessions: kept, alongside })
  }

  /**
   * Links one more session of the provider to an account that is stored. Two store calls.
   * @returns the account's partition, or undefined where nothing is stored
   * @throws {StoreUnavailableError}
   */
  async link(homeAccountId: string, session: ProviderSession): Promise<AccountPartition | undefined> {
    const { snapshot, unlock } = await this.loadLinked(homeAccountId, [
      ...this.links.keysOf([session]).keys(),
    ])
    try {
      const { partition } = snapshot
      if (partition !== undefined) await this.commitLinked(homeAccountId, snapshot, partition, [session])
      return partition
    } finally {
      unlock()
    }
  }
}

function issuersOf(stored: StoredRecord | undefined, homeAccountId: string): string[] {
  return readLinks(stored)
    .filter((link) => link.homeAccountId === homeAccountId)
    .map(({ issuer }) => issuer)
}
