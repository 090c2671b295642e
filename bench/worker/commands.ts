import type { EncryptionKey } from '../../src/index.ts'
import type { Operation } from '../contenders.ts'
import type { Entrant } from '../results.ts'
import type { LibraryName } from './library.ts'
import type { StoreAddress } from './stores.ts'
import type { Turn } from './turn.ts'

/** What a worker measures. */
export interface Spec {
  readonly library: LibraryName
  readonly operation: Operation
  readonly concurrency: number
  /** How many accounts are served in turn, at most. */
  readonly served: number
  readonly entrants: readonly (Entrant & { readonly address: StoreAddress })[]
  readonly encryptionKeys: readonly EncryptionKey[]
}

/** What one call asks of its store. */
export interface Counts {
  readonly storeCalls: number
  readonly bytes: number
}

/** What a parent process asks of its workers. Entrants are named by their index. */
export interface Commands {
  open(spec: Spec): Promise<void>
  /** Stores every entrant's accounts. For one worker of a group. */
  populate(): Promise<void>
  count(entrant: number): Promise<Counts>
  /** Calls for about so many milliseconds. */
  turn(entrant: number, milliseconds: number): Promise<Turn>
  /** Serves every account once, and says how many bytes of heap are in use before and after. */
  serve(entrant: number): Promise<{ before: number; after: number }>
  close(): Promise<void>
}

export interface CommandMessage {
  readonly id: number
  readonly name: keyof Commands
  readonly parameters: readonly unknown[]
}

export type ReplyMessage =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string }
