import { createHash, randomBytes } from 'node:crypto'
import { report } from '../diagnostics.ts'
import { decodeRecord, type RecordDefect, type StoredRecord } from '../records/record.ts'

/** What the store says about an account's generation. */
export type CurrentGeneration =
  /** Never evicted, as far as a record that still lives can know. */
  | { readonly kind: 'none' }
  | {
      readonly kind: 'known'
      readonly id: string
      /** When the last eviction was, in epoch milliseconds. */
      readonly evictedAt: number
    }
  /** A generation record is there and says nothing: nothing of the account is valid (P8). */
  | { readonly kind: 'unreadable' }

/** The longest that any record with tokens may live, in milliseconds: what a generation record outlives (90 days). */
export const LONGEST_TTL = 90 * 24 * 60 * 60 * 1000

/** Longer than anything it invalidates lives, with an hour for clocks that disagree. Milliseconds. */
export const GENERATION_LIFETIME = LONGEST_TTL + 60 * 60 * 1000

export function newGeneration(): string {
  return randomBytes(16).toString('base64url')
}

/**
 * The generation of an imported account, the same for every process that imports it: two that do so at once cannot tell
 * which of them wrote last, and neither may end the sign-in of the other.
 *
 * An account is imported only where no eviction of it is known, and the record of an eviction outlives all that was ever
 * written under the generation that it ended: nothing of an earlier import is left that this could bring back.
 * @param generationKey of the account
 */
export function importedGeneration(generationKey: string): string {
  return createHash('sha256').update(`imported ${generationKey}`).digest('base64url').slice(0, 22)
}

/** A record with a new generation, as an eviction writes one. It holds no token, and is not sealed. */
export function generationRecord(key: string): StoredRecord {
  return { key, generation: newGeneration(), expiresAt: Date.now() + GENERATION_LIFETIME, body: '' }
}

export function decodeGeneration(value: unknown, key: string): CurrentGeneration {
  if (value === undefined) return { kind: 'none' }
  const record = typeof value === 'string' ? decodeRecord(value, key) : { unreadable: 'malformed' as const }
  if ('unreadable' in record) return unreadable(key, record.unreadable)
  if (record.generation === undefined) return unreadable(key, 'malformed')
  return { kind: 'known', id: record.generation, evictedAt: record.expiresAt - GENERATION_LIFETIME }
}

/** A record is valid if there is no generation record, or if it carries that generation. */
export function isValid(generation: string, current: CurrentGeneration): boolean {
  return current.kind === 'none' || (current.kind === 'known' && current.id === generation)
}

function unreadable(key: string, reason: RecordDefect): CurrentGeneration {
  report('msal-keyv:unreadable-record', { key, reason })
  return { kind: 'unreadable' }
}

/**
 * The one generation that a plugin belongs to: the host session's, or else that of its first load. Once a later load
 * finds another, the sign-in has ended, and stays ended (P3): a refresh that began before an eviction cannot write into
 * the sign-in after it.
 */
export class GenerationPin {
  #generation: string | undefined
  #isEnded = false

  /** @param generation of the host's session */
  constructor(generation?: string | undefined) {
    this.#generation = generation
  }

  /** Undefined until a load has found one. */
  get generation(): string | undefined {
    return this.#generation
  }

  get isEnded(): boolean {
    return this.#isEnded
  }

  /** Nothing is to be shown any more. */
  end(): void {
    this.#isEnded = true
  }

  /** A sign-in through the plugin makes it belong to that one. */
  join(generation: string): void {
    this.#generation ??= generation
  }

  /**
   * Whether what a load found may be shown.
   * @param stored the generation of the valid record
   */
  admits(stored: string | undefined, current: CurrentGeneration): boolean {
    const found = current.kind === 'known' ? current.id : stored
    if (this.#generation === undefined) this.#generation = found
    else if (current.kind === 'unreadable' || (found !== undefined && found !== this.#generation)) {
      this.#isEnded = true
    }
    return !this.#isEnded
  }
}
