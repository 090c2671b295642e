import { Random } from './random.ts'

export type Operation =
  | { readonly kind: 'silent' | 'refresh'; readonly account: number; readonly by: 'id' | 'session' }
  | { readonly kind: 'sign-in' | 'logout'; readonly account: number; readonly browser: number }
  | { readonly kind: 'evict'; readonly account: number }
  /** Refreshes for several scopes at once, of an account that only this lane uses. */
  | { readonly kind: 'parallel-refresh'; readonly account: number }

/** An operation, and how long the provider takes to answer it, in milliseconds. */
export type PlannedOperation = Operation & { readonly latency: number }

export interface Plan {
  readonly seed: string
  readonly processes: number
  /** Operations that each process has under way at once. */
  readonly lanes: number
  readonly accounts: number
}

const WEIGHTS = { silent: 830, refresh: 70, 'sign-in': 60, evict: 12, logout: 18, 'parallel-refresh': 10 }
const BROWSERS = 2

/** What a lane of a process does, without end: it depends on the plan only, and on no outcome. */
export function* operationsOf(plan: Plan, process: number, lane: number): Generator<PlannedOperation, never> {
  const random = new Random(plan.seed, process, lane)
  for (;;) {
    const kind = random.weighted(WEIGHTS)
    const latency = random.below(5) === 0 ? random.between(20, 200) : random.below(10)
    const account = accountFor(random, plan.accounts)
    const browser = random.below(BROWSERS)
    const by = random.below(4) === 0 ? 'session' : 'id'
    if (kind === 'parallel-refresh') yield { kind, latency, account: ownAccount(plan, process, lane) }
    else if (kind === 'evict') yield { kind, latency, account }
    else if (kind === 'silent' || kind === 'refresh') yield { kind, latency, account, by }
    else yield { kind, latency, account, browser }
  }
}

/** The sign-ins that a process begins with: its share of the accounts. */
export function* firstSignIns(plan: Plan, process: number): Generator<PlannedOperation> {
  for (let account = process; account < plan.accounts; account += plan.processes) {
    yield { kind: 'sign-in', account, browser: account % BROWSERS, latency: 0 }
  }
}

/** What a process ends with, when all is quiet: another share of the accounts, so that it reads what others wrote. */
export function* lastRefreshes(plan: Plan, process: number): Generator<PlannedOperation> {
  for (let account = (process + 1) % plan.processes; account < plan.accounts; account += plan.processes) {
    yield { kind: 'silent', account, by: 'id', latency: 0 }
    yield { kind: 'refresh', account, by: 'id', latency: 0 }
  }
}

/** How many accounts there are, with those of the lanes. */
export function countAccounts({ accounts, processes, lanes }: Plan): number {
  return accounts + processes * lanes
}

function ownAccount({ accounts, lanes }: Plan, process: number, lane: number): number {
  return accounts + process * lanes + lane
}

/** Half of it all concerns a tenth of the accounts, so that operations meet. */
function accountFor(random: Random, accounts: number): number {
  const some = Math.max(1, Math.floor(accounts / 10))
  return random.below(random.below(2) === 0 ? some : accounts)
}
