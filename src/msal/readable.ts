import { checksumOf } from '../records/record.ts'
import { isEmpty, parseCache, parseSerialized, type SerializedCache } from './schema.ts'

/** A text that MSAL can read, in MSAL's own serialization. It is parsed when somebody looks into it. */
export class Readable {
  readonly text: string
  #cache: SerializedCache | undefined

  constructor(text: string, cache?: SerializedCache) {
    this.text = text
    this.#cache = cache
  }

  get cache(): SerializedCache {
    this.#cache ??= parseSerialized(this.text)
    return this.#cache
  }
}

const MOST_REMEMBERED = 10_000

/**
 * MSAL deserializes anything into something, so what it is given is looked at before (P8). Of what was found readable
 * a checksum is remembered, since the same text comes again with every call of an account. A forged checksum gains
 * nothing: whoever can write a record in plaintext can as well write one that MSAL can read.
 */
export class ReadableTexts {
  readonly #remembered = new Set<string>()

  /** Undefined for what is no token cache, or an empty one. */
  read(text: string): Readable | undefined {
    const checksum = checksumOf(text)
    if (this.#remembered.has(checksum)) return new Readable(text)
    const cache = parseCache(text)
    if (cache === undefined || isEmpty(cache)) return undefined
    const [oldest] = this.#remembered
    if (this.#remembered.size >= MOST_REMEMBERED && oldest !== undefined) this.#remembered.delete(oldest)
    this.#remembered.add(checksum)
    return new Readable(text, cache)
  }
}
