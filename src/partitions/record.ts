/**
 * What every record says about itself. It knows its own key, since a store that mixes up namespaces hands out
 * another's value (Keyv 6 with one adapter under two), and its own expiry, since a store's TTL counts from the
 * moment of the write, however late that came.
 */
export interface RecordHeader {
  /** The key this record was written under. */
  readonly key: string
  readonly generation: string
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

export interface StoredRecord extends RecordHeader {
  readonly body: string
}

const VERSION = 1

/** A header line in JSON, then the body as it is: reading a record parses no token cache. */
export function encodeRecord({ key, generation, expiresAt, body }: StoredRecord): string {
  return `${JSON.stringify({ v: VERSION, k: key, g: generation, x: expiresAt })}\n${body}`
}

/** The record, or undefined for anything that is not one written under this key. */
export function decodeRecord(value: unknown, key: string): StoredRecord | undefined {
  if (typeof value !== 'string') return undefined
  const end = value.indexOf('\n')
  if (end === -1) return undefined
  const header = parseObject(value.slice(0, end))
  if (header === undefined || header.v !== VERSION || header.k !== key) return undefined
  const { g: generation, x: expiresAt } = header
  if (typeof generation !== 'string' || generation === '' || typeof expiresAt !== 'number') return undefined
  return { key, generation, expiresAt, body: value.slice(end + 1) }
}

function parseObject(json: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
