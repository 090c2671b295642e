import { hash } from 'node:crypto'
import { isObject, isText, parseJson } from '../guards.ts'

/**
 * What every record says about itself. It knows its own key, since a store that mixes up namespaces hands out
 * another's value (Keyv 6 with one adapter under two), and its own expiry, since a store's TTL counts from the
 * moment of the write, however late that came.
 */
export interface RecordHeader {
  /** The key this record was written under. */
  readonly key: string
  /** Of the account that the record belongs to; undefined where it belongs to none. */
  readonly generation: string | undefined
  /** In a token record of an account: the key of that account's generation record. */
  readonly generationKey?: string | undefined
  /** In a partition, and in a list of token records: the links that lead to the account, as `accounts/links.ts` has them. */
  readonly links?: readonly unknown[] | undefined
  /** In what holds a user's tokens: where the user has signed in. The accounts know what is in it. */
  readonly origin?: readonly unknown[] | undefined
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

export interface StoredRecord extends RecordHeader {
  readonly body: string
}

const VERSION = 1

/** A header line in JSON, then the body as it is: reading a record parses no token cache. */
export function encodeRecord({
  key,
  generation,
  generationKey,
  links,
  origin,
  expiresAt,
  body,
}: StoredRecord): string {
  const header = { v: VERSION, k: key, g: generation, o: generationKey, s: links, a: origin, x: expiresAt }
  return `${JSON.stringify(header)}\n${body}`
}

/** Why a text is no record that is to be found under its key. */
export type RecordDefect = 'malformed' | 'newer-version' | 'wrong-record'

export function decodeRecord(text: string, key: string): StoredRecord | { unreadable: RecordDefect } {
  const end = text.indexOf('\n')
  const header = parseJson(text.slice(0, Math.max(0, end)))
  if (!isObject(header)) return { unreadable: 'malformed' }
  const { v: version, k: itsKey, g: generation, o: generationKey, s: links, a: origin, x: expiresAt } = header
  if (typeof version === 'number' && version > VERSION) return { unreadable: 'newer-version' }
  const isRecord =
    version === VERSION &&
    typeof expiresAt === 'number' &&
    isOptionalText(generation) &&
    isOptionalText(generationKey) &&
    (links === undefined || Array.isArray(links)) &&
    (origin === undefined || Array.isArray(origin))
  if (!isRecord) return { unreadable: 'malformed' }
  if (itsKey !== key) return { unreadable: 'wrong-record' }
  return { key, generation, generationKey, links, origin, expiresAt, body: text.slice(end + 1) }
}

function isOptionalText(value: unknown): value is string | undefined {
  return value === undefined || isText(value)
}

/**
 * What tells one stored text from another, and holds no secret: of a sealed record the text itself, of a plaintext record,
 * which has refresh tokens in clear, its digest.
 * @returns undefined for anything but a string
 */
export function fingerprintOf(stored: unknown): string | undefined {
  if (typeof stored !== 'string') return undefined
  if (!stored.startsWith('{')) return stored
  return digestOf(stored)
}

/** SHA-256: whoever can write the store makes no other text of the same digest. */
export function digestOf(text: string): string {
  return hash('sha256', text, 'base64url')
}
