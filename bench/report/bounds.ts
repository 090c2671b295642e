/** The ratios that the library is to reach. */
import { type ContenderName, labelOf, STORES, type StoreKind } from '../contenders.ts'
import { distinct, find, type Measurement, type Results, select } from '../results.ts'
import { pairedRatio, type Ratio } from '../statistics.ts'
import { integer, ratio, table } from './format.ts'

type Setting = Pick<Measurement, 'scenario' | 'contender' | 'sealed' | 'store' | 'concurrency' | 'accounts'>

/** How many times `over` may `of` take, or must it at least. Both are of one run. */
export interface Bound {
  readonly of: Setting
  readonly over: Setting
  readonly atMost?: number
  readonly atLeast?: number
}

export function boundsTable(results: Results): string {
  const rows = boundsOf(results).map((bound) => {
    const { atMost = Number.POSITIVE_INFINITY, atLeast = 0 } = bound
    const limit = bound.atMost === undefined ? `≥ ${ratio(atLeast)}` : `≤ ${ratio(atMost)}`
    const measured = measure(results, bound)
    if (measured === undefined) return [nameOf(bound), limit, undefined, undefined, undefined]
    const isMet = measured.median <= atMost && measured.median >= atLeast
    const quartiles = `${ratio(measured.lower)}–${ratio(measured.upper)}`
    return [nameOf(bound), limit, ratio(measured.median), quartiles, isMet ? 'yes' : 'no']
  })
  return table(['ratio of medians', 'bound', 'measured', 'quartiles', 'met'], rows)
}

/** @param results say how many accounts were stored at most */
export function boundsOf(results: Results): Bound[] {
  const sizes = distinct(select(results, { scenario: 'accounts', store: 'redis' }), 'accounts')
  const most = Math.max(1, ...sizes)
  const sealed = { sealed: true }
  return [
    { ...pair(hit('clients', 'map'), { contender: 'microsoft' }), atMost: 0.3 },
    { ...pair(hit('clients', 'redis'), { contender: 'microsoft' }), atMost: 0.6 },
    { ...pair(hit('clients', 'redis', 50), { contender: 'microsoft' }), atMost: 0.4 },
    { ...pair(hit('clients', 'redis-cached'), { contender: 'microsoft' }), atMost: 0.35 },
    { ...pair({ ...hit('clients', 'map'), ...sealed }, { sealed: false }), atMost: 1.05 },
    { ...pair({ ...hit('clients', 'redis'), ...sealed }, { sealed: false }), atMost: 1.05 },
    { ...pair(hit('first', 'map'), { contender: 'microsoft' }), atMost: 1.05 },
    {
      ...pair({ ...hit('first', 'map'), ...sealed }, { contender: 'microsoft', sealed: false }),
      atMost: 1.35,
    },
    { ...pair(hit('plugin', 'map'), { contender: 'microsoft' }), atMost: 1 },
    { ...pair(hit('plugin', 'redis'), { contender: 'microsoft' }), atMost: 1.1 },
    { ...pair(among(most, 'clients', 'redis'), { accounts: 1 }), atMost: 1.1 },
    { ...pair(among(most, 'plugin', 'redis'), { accounts: 1 }), atMost: 1.1 },
    { ...pair(among(5_000, 'blob', 'map'), { contender: 'clients' }), atLeast: 500 },
  ]
}

/** @param other in what the two differ */
function pair(of: Setting, other: Partial<Setting>): Bound {
  return { of, over: { ...of, ...other } }
}

function hit(contender: ContenderName, store: StoreKind, concurrency = 1): Setting {
  return { scenario: 'hit', contender, sealed: false, store, concurrency, accounts: 200 }
}

function among(accounts: number, contender: ContenderName, store: StoreKind): Setting {
  return { scenario: 'accounts', contender, sealed: false, store, concurrency: 1, accounts }
}

function nameOf({ of, over }: Bound): string {
  const where = of.concurrency === 1 ? STORES[of.store] : `${STORES[of.store]}, ${of.concurrency} at once`
  if (of.accounts !== over.accounts) {
    return `${integer(of.accounts)} accounts / ${integer(over.accounts)}: ${labelOf(of)}, ${where}`
  }
  const other = of.contender === over.contender ? 'plain' : labelOf(over)
  const stored = of.scenario === 'accounts' ? `, ${integer(of.accounts)} accounts` : ''
  return `${labelOf(of)} / ${other}: ${where}${stored}`
}

function measure(results: Results, { of, over }: Bound): Ratio | undefined {
  const [numerator, denominator] = [find(results, of), find(results, over)]
  return numerator && denominator && pairedRatio(numerator.rounds, denominator.rounds)
}
