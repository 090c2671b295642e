import { isProcessKey } from '../records/key-names.ts'
import type { StoredRecord } from '../records/record.ts'

/** A long-running process of an account: the key of its record, and when that expires, in epoch milliseconds. */
export interface Process {
  readonly key: string
  readonly expiresAt: number
}

/** The most that an eviction can find; the oldest go first, and their records are dead until they expire. */
const MOST_PROCESSES = 500

/** An account's processes that have not expired; none where the record says nothing readable. */
export function liveProcesses(stored: StoredRecord | undefined): Process[] {
  if (stored === undefined) return []
  let rows: unknown
  try {
    rows = JSON.parse(stored.body)
  } catch {
    return []
  }
  if (!Array.isArray(rows)) return []
  const now = Date.now()
  return rows.flatMap((row: unknown) => {
    const [key, expiresAt] = Array.isArray(row) ? (row as unknown[]) : []
    const isProcess = typeof key === 'string' && isProcessKey(key)
    return isProcess && typeof expiresAt === 'number' && expiresAt > now ? [{ key, expiresAt }] : []
  })
}

/** The record of an account's processes after one of them was written. */
export function processesRecord(
  key: string,
  stored: StoredRecord | undefined,
  written: Process,
): StoredRecord {
  const others = liveProcesses(stored).filter((each) => each.key !== written.key)
  const processes = [...others, written].slice(-MOST_PROCESSES)
  return {
    key,
    generation: undefined,
    expiresAt: Math.max(...processes.map(({ expiresAt }) => expiresAt)),
    body: JSON.stringify(processes.map((each) => [each.key, each.expiresAt])),
  }
}
