import { parseJson } from '../guards.ts'
import { isAccountsTokenRecord } from '../records/key-names.ts'
import type { StoredRecord } from '../records/record.ts'

/** A token record of an account: its key, and when it expires, in epoch milliseconds. */
export interface ListedRecord {
  readonly key: string
  readonly expiresAt: number
}

/** The most that an eviction can find; the oldest go first, and are dead until they expire. */
const MOST_LISTED = 500

/** An account's token records that have not expired; none where the list says nothing readable. */
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
export function listRecord(key: string, listed: readonly ListedRecord[]): StoredRecord {
  const kept = listed.slice(-MOST_LISTED)
  return {
    key,
    generation: undefined,
    expiresAt: Math.max(...kept.map(({ expiresAt }) => expiresAt)),
    body: JSON.stringify(kept.map((each) => [each.key, each.expiresAt])),
  }
}
