import type { Operation } from './operations.ts'

/** What an operation ended with, as its caller saw it. */
export type Outcome =
  /** Whose the tokens are and from which sign-ins they come, by what the tokens themselves say. */
  | {
      readonly is: 'token'
      readonly owners: readonly number[]
      readonly chains: readonly string[]
      readonly fromCache: boolean
    }
  | { readonly is: 'signed-in'; readonly owners: readonly number[]; readonly generation: string }
  | { readonly is: 'signed-out' }
  | { readonly is: 'evicted' }
  /** A logout callback that found nothing to end. */
  | { readonly is: 'nobody'; readonly result: string }
  /** It may or may not have taken effect, or still will; with `fenced` it has. */
  | { readonly is: 'eviction-failed'; readonly fenced: boolean }
  /** Refreshes at once: the scopes whose new token was not there afterwards. */
  | { readonly is: 'refreshed'; readonly lost: readonly string[] }
  | { readonly is: 'store-failure'; readonly operation: string }
  /** Anything else that was thrown. */
  | { readonly is: 'error'; readonly error: string }

/** A write of an account's record that an operation sent to the store. */
export interface Commit {
  /** When the read began that the write rests on. */
  readonly readAt: number
  readonly begin: number
  /** Missing where the store has not confirmed it. */
  readonly end?: number
}

/** One operation of one process. Times are nanoseconds of the machine's monotonic clock, which all processes share. */
export interface Entry {
  readonly operation: Operation
  readonly process: number
  /** Of the random operations: which of the process' lanes did it. */
  readonly lane?: number
  readonly begin: number
  readonly end: number
  readonly outcome: Outcome
  readonly commits: readonly Commit[]
  /** Of a sign-in: the name of what began with it. */
  readonly chain?: string
  /** Of a call by a host session: the sign-in that the session is of. */
  readonly session?: string
  /** Made when all was quiet. */
  readonly last?: true
}

/** A disturbance from outside, on the same clock. */
export interface Fault {
  readonly name: string
  readonly begin: number
  readonly end: number
}

/** A partition's record as the store holds it in the end. */
export interface RecordAtRest {
  readonly account: number
  readonly text: string
}

export interface History {
  readonly entries: readonly Entry[]
  readonly faults: readonly Fault[]
  readonly records: readonly RecordAtRest[]
}

/** Nanoseconds of CLOCK_MONOTONIC (on macOS mach_absolute_time), whose zero is the machine's start. */
export function now(): number {
  return Number(process.hrtime.bigint())
}
