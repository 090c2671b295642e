import type { StoreKind } from './contenders.ts'

/** How much is measured, and how long. */
export interface Profile {
  readonly name: 'full' | 'quick'
  readonly rounds: number
  readonly warmUpRounds: number
  /** How long an entrant's turn in a round is to take, in milliseconds. */
  readonly turn: number
  /** How many accounts are served in turn, at most. */
  readonly served: number
  /** How many calls are in flight, and over which stores, where hits are measured. */
  readonly hits: { readonly stores: readonly StoreKind[]; readonly concurrency: readonly number[] }
  /** Where everything else is measured. */
  readonly operations: { readonly stores: readonly StoreKind[] }
  /** How many accounts are stored, over each store. */
  readonly accounts: Readonly<Partial<Record<StoreKind, readonly number[]>>>
  readonly processes: { readonly stores: readonly StoreKind[]; readonly counts: readonly number[] }
  /** How many accounts the process whose heap is measured has served. */
  readonly heapAccounts: number
}

const EVERY_STORE: readonly StoreKind[] = ['map', 'sqlite', 'redis', 'redis-cached']

/** About nine minutes on two calm cores. */
export const FULL: Profile = {
  name: 'full',
  rounds: 15,
  warmUpRounds: 4,
  turn: 30,
  served: 200,
  hits: { stores: EVERY_STORE, concurrency: [1, 10, 50, 100] },
  operations: { stores: EVERY_STORE },
  accounts: {
    map: [1, 1_000, 5_000],
    sqlite: [1, 1_000, 10_000, 100_000],
    redis: [1, 1_000, 10_000, 100_000],
  },
  processes: { stores: ['sqlite', 'redis', 'redis-cached'], counts: [1, 2, 4] },
  heapAccounts: 20_000,
}

/** About a minute. Shows that everything runs; its figures mean nothing. */
export const QUICK: Profile = {
  name: 'quick',
  rounds: 3,
  warmUpRounds: 1,
  turn: 10,
  served: 20,
  hits: { stores: EVERY_STORE, concurrency: [1, 10] },
  operations: { stores: ['redis'] },
  accounts: { map: [1, 1_000], sqlite: [1, 1_000], redis: [1, 1_000] },
  processes: { stores: ['redis'], counts: [1, 2] },
  heapAccounts: 200,
}

/** With a million accounts on Redis, which take 8 GB there. */
export function long(profile: Profile): Profile {
  const redis = [...(profile.accounts.redis ?? []), 1_000_000]
  return { ...profile, accounts: { ...profile.accounts, redis } }
}
