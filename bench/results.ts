import type { ContenderName, Operation, StoreKind } from './contenders.ts'

export type ScenarioName = 'hit' | 'operations' | 'accounts' | 'processes' | 'heap'

/** Whom a group measures, over what. */
export interface Entrant {
  readonly contender: ContenderName
  readonly sealed: boolean
  readonly store: StoreKind
  /** How many accounts are stored. */
  readonly accounts: number
}

/** What is measured in one interleaved run: the entrants take turns, round by round. */
export interface Group {
  readonly scenario: ScenarioName
  readonly operation: Operation
  /** How many calls each process has in flight. */
  readonly concurrency: number
  readonly processes: number
  readonly entrants: readonly Entrant[]
}

/** One entrant's figures in one group. Times are microseconds per call. */
export interface Measurement extends Entrant {
  readonly scenario: ScenarioName
  readonly operation: Operation
  readonly concurrency: number
  readonly processes: number
  /** How many calls the figures are of. */
  readonly calls: number
  readonly median: number
  readonly p99: number
  /** Calls per second, of all processes together. */
  readonly perSecond: number
  /** User and system time of the calling processes, all threads. */
  readonly cpu: number
  /** Calls of the store's client per call; absent where they were not counted. */
  readonly storeCalls?: number
  /** What they carried, both ways. */
  readonly bytes?: number
  /** The median of each round, so that entrants can be compared round by round. */
  readonly rounds: readonly number[]
}

/** What a process keeps after it has served `accounts` once each. Sizes are bytes. */
export interface HeapMeasurement extends Entrant {
  readonly before: number
  readonly after: number
}

export interface Environment {
  /** ISO 8601, to the day. */
  readonly date: string
  readonly profile: string
  readonly cpu: string
  readonly cores: number
  /** Of the machine, in bytes. */
  readonly memory: number
  readonly system: string
  readonly versions: Readonly<Record<string, string>>
  /** How many accounts are served in turn, at most. */
  readonly served: number
  readonly rounds: number
}

export interface Results {
  readonly environment: Environment
  readonly measurements: readonly Measurement[]
  readonly heap: readonly HeapMeasurement[]
}

export type Query = Partial<Omit<Measurement, 'rounds'>>

export function select(results: Results, query: Query): Measurement[] {
  return results.measurements.filter((it) => matches(it, query))
}

/** The one measurement that a query describes, if it was made. */
export function find(results: Results, query: Query): Measurement | undefined {
  return results.measurements.find((it) => matches(it, query))
}

function matches(measurement: Measurement, query: Query): boolean {
  return Object.entries(query).every(([name, value]) => measurement[name as keyof Query] === value)
}

/** The different values of one member, in the order in which they occur. */
export function distinct<K extends keyof Measurement>(
  measurements: readonly Measurement[],
  member: K,
): Measurement[K][] {
  return [...new Set(measurements.map((it) => it[member]))]
}
