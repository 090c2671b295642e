import { randomBytes } from 'node:crypto'
import { LONGEST_TTL } from '../options.ts'
import { decodeRecord, encodeRecord, type RecordDefect } from './record.ts'

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
  | { readonly kind: 'unreadable'; readonly reason: RecordDefect }

/** Longer than anything it invalidates lives, with an hour for clocks that disagree. Milliseconds. */
export const GENERATION_LIFETIME = LONGEST_TTL + 60 * 60 * 1000

export function newGeneration(): string {
  return randomBytes(16).toString('base64url')
}

export function encodeGeneration(key: string, generation: string, now: number): string {
  return encodeRecord({ key, generation, expiresAt: now + GENERATION_LIFETIME, body: '' })
}

export function decodeGeneration(value: unknown, key: string): CurrentGeneration {
  if (value === undefined) return { kind: 'none' }
  const record = typeof value === 'string' ? decodeRecord(value, key) : { unreadable: 'malformed' as const }
  if ('unreadable' in record) return { kind: 'unreadable', reason: record.unreadable }
  if (record.generation === undefined) return { kind: 'unreadable', reason: 'malformed' }
  return { kind: 'known', id: record.generation, evictedAt: record.expiresAt - GENERATION_LIFETIME }
}

/** A record is valid if there is no generation record, or if it carries that generation. */
export function isValid(generation: string, current: CurrentGeneration): boolean {
  return current.kind === 'none' || (current.kind === 'known' && current.id === generation)
}
