import { labelOf, OPERATIONS, type Operation, STORES, type StoreKind } from '../contenders.ts'
import {
  distinct,
  type HeapMeasurement,
  type Measurement,
  type Results,
  type ScenarioName,
  select,
} from '../results.ts'
import { boundsTable } from './bounds.ts'
import { type Cell, integer, kilobytes, megabytes, microseconds, table } from './format.ts'

const NOT_MEASURED = 'Not measured.'
const QUICK = '- **A quick run: it shows that everything runs, its figures mean nothing.**'

/** All that was measured of one group. */
export function groupTable(measurements: readonly Measurement[]): string {
  const hasSizes = distinct(measurements, 'accounts').length > 1
  const head = ['µs per call', ...(hasSizes ? ['accounts'] : [])]
  const rows = measurements.map((it) => [
    labelOf(it),
    ...(hasSizes ? [integer(it.accounts)] : []),
    microseconds(it.median),
    microseconds(it.p99),
    microseconds(it.cpu),
    integer(it.perSecond),
    it.storeCalls?.toLocaleString('en'),
    it.bytes === undefined ? undefined : kilobytes(it.bytes),
  ])
  return table([...head, 'median', 'p99', 'CPU', 'calls/s', 'store calls', 'kB'], rows)
}

export function heapTable(heap: readonly HeapMeasurement[]): string {
  if (heap.length === 0) return NOT_MEASURED
  const rows = heap.map((it) => [
    labelOf(it),
    integer(it.accounts),
    megabytes(it.before),
    megabytes(it.after),
    megabytes(it.after - it.before),
  ])
  return table(['MB of heap', 'accounts served', 'before', 'after', 'kept'], rows)
}

/** The generated parts of `docs/performance.md`, by name. */
export function blocksOf(results: Results): Record<string, string> {
  const blocks: Record<string, string> = {
    environment: environment(results),
    bounds: boundsTable(results),
    heap: heapTable(results.heap),
  }
  for (const store of Object.keys(STORES) as StoreKind[]) {
    const hits = select(results, { scenario: 'hit', store, concurrency: 1 })
    blocks[`hit-${store}`] = hits.length === 0 ? NOT_MEASURED : groupTable(hits)
    blocks[`concurrency-${store}`] = series(results, 'hit', store, 'concurrency', throughput)
  }
  for (const store of ['map', 'sqlite', 'redis'] as const) {
    blocks[`accounts-${store}`] = series(results, 'accounts', store, 'accounts', latency)
  }
  for (const store of ['sqlite', 'redis', 'redis-cached'] as const) {
    blocks[`processes-${store}`] = series(results, 'processes', store, 'processes', throughput)
  }
  for (const operation of Object.keys(OPERATIONS) as Operation[]) {
    if (operation !== 'hit') blocks[operation] = operationTable(results, operation)
  }
  return blocks
}

const latency = ({ median }: Measurement) => microseconds(median)
const throughput = ({ perSecond }: Measurement) => integer(perSecond)

/** A row for each contender, a column for each value of what varies. */
function series(
  results: Results,
  scenario: ScenarioName,
  store: StoreKind,
  varies: 'concurrency' | 'accounts' | 'processes',
  show: (measurement: Measurement) => string,
): string {
  const all = select(results, { scenario, store })
  const values = distinct(all, varies)
  if (values.length === 0) return NOT_MEASURED
  const rows = distinctLabels(all).map((label) => {
    const cells = values.map((value) => all.find((it) => it[varies] === value && labelOf(it) === label))
    return [label, ...cells.map((it) => it && show(it))]
  })
  const unit = show === latency ? 'µs per hit, median' : 'hits per second'
  return table([`${unit}; ${NOUNS[varies]}`, ...values.map(integer)], rows)
}

const NOUNS = { concurrency: 'at once', accounts: 'accounts', processes: 'processes' } as const

/** Medians on each store, and what it asks of Redis. */
function operationTable(results: Results, operation: Operation): string {
  const all = select(results, { scenario: 'operations', operation })
  const stores = distinct(all, 'store')
  if (stores.length === 0) return NOT_MEASURED
  const rows = distinctLabels(all).map((label): Cell[] => {
    const own = all.filter((it) => labelOf(it) === label)
    const cells = stores.map((store) => own.find((it) => it.store === store))
    const onRedis = own.find(({ store }) => store === 'redis')
    return [
      label,
      ...cells.map((it) => it && `${microseconds(it.median)} / ${microseconds(it.p99)}`),
      onRedis && microseconds(onRedis.cpu),
      onRedis?.storeCalls?.toLocaleString('en'),
      onRedis?.bytes === undefined ? undefined : kilobytes(onRedis.bytes),
    ]
  })
  const redis = ['CPU, Redis', 'store calls, Redis', 'kB, Redis']
  return table(['µs, median / p99', ...stores.map((store) => STORES[store]), ...redis], rows)
}

function distinctLabels(measurements: readonly Measurement[]): string[] {
  return [...new Set(measurements.map(labelOf))]
}

function environment({ environment: it }: Results): string {
  const versions = Object.entries(it.versions).map(([name, version]) => `${name} ${version}`)
  const gigabytes = Math.round(it.memory / 1_000_000_000)
  return [
    `- ${it.date}; ${it.cpu}, ${it.cores} cores, ${gigabytes} GB; ${it.system}`,
    `- ${versions.join(', ')}`,
    `- ${it.rounds} rounds, up to ${it.served} accounts served in turn`,
    ...(it.profile === 'quick' ? [QUICK] : []),
  ].join('\n')
}
