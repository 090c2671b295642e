import {
  CONTENDERS,
  type ContenderName,
  labelOf,
  OPERATIONS,
  type Operation,
  type StoreKind,
} from '../contenders.ts'
import { find, type Measurement, type Results, select } from '../results.ts'
import { barChart } from '../svg/bars.ts'
import type { Colour } from '../svg/document.ts'
import { lineChart, type Series } from '../svg/lines.ts'
import { linearScale, logScale, stepScale } from '../svg/scale.ts'
import { microseconds } from './format.ts'

const COLOURS: Readonly<Record<ContenderName, Colour>> = {
  msal: 'grey',
  blob: 'red',
  'microsoft-sample': 'violet',
  'microsoft-redis': 'amber',
  microsoft: 'orange',
  plugin: 'teal',
  first: 'sky',
  clients: 'blue',
}

const FACETS: readonly { readonly store: StoreKind; readonly heading: readonly string[] }[] = [
  { store: 'map', heading: ['Map'] },
  { store: 'sqlite', heading: ['SQLite'] },
  { store: 'redis', heading: ['Redis'] },
  { store: 'redis-cached', heading: ['Redis', 'client-side caching'] },
]

interface Row {
  readonly contender: ContenderName
  readonly sealed: boolean
}

/** The plots of `docs/performance.md`, by file name. */
export function plotsOf(results: Results): Record<string, string> {
  return {
    'hit.svg': hits(results),
    'concurrency.svg': concurrency(results),
    'operations.svg': operations(results),
    'accounts.svg': accounts(results),
    'processes.svg': processes(results),
  }
}

function hits(results: Results): string {
  const rows = rowsOf(
    'microsoft-sample',
    'microsoft-redis',
    'microsoft',
    'plugin',
    'first',
    'clients',
    'clients!',
  )
  const value = (row: Row, store: StoreKind) =>
    find(results, { scenario: 'hit', concurrency: 1, store, ...row })?.median
  return barChart({
    title: 'A silent hit, one call at a time',
    description: `The median time of a silent hit with ${results.environment.served} accounts in turn, by store and by cache plugin.`,
    facets: FACETS.map(({ heading }) => heading),
    bars: rows.map((row) => ({ ...look(row), values: FACETS.map(({ store }) => value(row, store)) })),
    axis: 'µs per call, median; less is better',
    format: microseconds,
  })
}

function operations(results: Results): string {
  const shown: Operation[] = ['sign-in', 'refresh', 'eviction', 'front-channel', 'back-channel']
  const rows = rowsOf('microsoft-sample', 'microsoft-redis', 'microsoft', 'plugin', 'clients', 'clients!')
  const value = (row: Row, operation: Operation) =>
    find(results, { scenario: 'operations', store: 'redis', operation, ...row })?.median
  return barChart({
    title: 'Everything but a hit, on Redis',
    description: `The median times of ${shown.map((it) => OPERATIONS[it]).join(', ')}, by cache plugin.`,
    facets: shown.map((operation) => OPERATIONS[operation].split(' ')),
    bars: rows.map((row) => ({ ...look(row), values: shown.map((operation) => value(row, operation)) })),
    axis: 'µs per call, median; less is better',
    format: microseconds,
  })
}

function concurrency(results: Results): string {
  const query = { scenario: 'hit', store: 'redis', sealed: false } as const
  const names: ContenderName[] = ['microsoft-sample', 'microsoft-redis', 'microsoft', 'plugin', 'clients']
  const series = names.map((contender) =>
    lineOf(select(results, { ...query, contender }), 'concurrency', 'perSecond'),
  )
  return lineChart({
    title: 'Silent hits per second on Redis, by calls in flight',
    description: 'How many silent hits one process makes per second.',
    series,
    x: stepScale(valuesOf(series, 'x')),
    y: linearScale(valuesOf(series, 'y')),
    axes: { x: 'calls in flight', y: 'hits per second; more is better' },
  })
}

function processes(results: Results): string {
  const query = { scenario: 'processes', store: 'redis' } as const
  const names: ContenderName[] = ['microsoft-redis', 'microsoft', 'plugin', 'clients']
  const series = names.map((contender) =>
    lineOf(select(results, { ...query, contender, sealed: false }), 'processes', 'perSecond'),
  )
  const { cores } = results.environment
  return lineChart({
    title: 'Silent hits per second on Redis, by processes',
    description: `How many silent hits all processes together make per second, with 10 calls in flight in each, on ${cores} cores that they share with Redis.`,
    series,
    x: stepScale(valuesOf(series, 'x')),
    y: linearScale(valuesOf(series, 'y')),
    axes: { x: `processes, on ${cores} cores`, y: 'hits per second; more is better' },
  })
}

function accounts(results: Results): string {
  const on = (store: StoreKind, contender: ContenderName) =>
    lineOf(select(results, { scenario: 'accounts', store, contender }), 'accounts', 'median')
  const everybody = (['blob', 'msal'] as const).map((name) => {
    const line = on('map', name)
    return { ...line, label: `${line.label}, Map` }
  })
  const flat = (['microsoft', 'plugin', 'clients'] as const).map((name) => on('redis', name))
  const series = [...everybody, ...flat]
  return lineChart({
    title: 'A silent hit, by accounts stored; on Redis where nothing else is said',
    description: 'The median time of a silent hit by the number of accounts stored, both logarithmic.',
    series,
    x: logScale(valuesOf(series, 'x')),
    y: logScale(valuesOf(series, 'y')),
    axes: { x: 'accounts stored', y: 'µs per call, median; less is better' },
  })
}

/** Contenders by name, with a `!` where sealed. */
function rowsOf(...names: readonly (ContenderName | `${ContenderName}!`)[]): Row[] {
  return names.map((name) => ({
    contender: name.replace('!', '') as ContenderName,
    sealed: name.endsWith('!'),
  }))
}

function look(row: Row): { label: string; colour: Colour; faint: boolean } {
  return { label: labelOf(row), colour: COLOURS[row.contender], faint: row.sealed }
}

function lineOf(
  measurements: readonly Measurement[],
  x: 'concurrency' | 'accounts' | 'processes',
  y: 'median' | 'perSecond',
): Series {
  const [first] = measurements
  const contender = first?.contender ?? 'clients'
  const points = measurements.map((it) => ({ x: it[x], y: it[y] }))
  return { label: CONTENDERS[contender].label, colour: COLOURS[contender], points }
}

function valuesOf(series: readonly Series[], axis: 'x' | 'y'): number[] {
  const values = series.flatMap(({ points }) => points.map((point) => point[axis]))
  return values.length === 0 ? [1] : [...new Set(values)]
}
