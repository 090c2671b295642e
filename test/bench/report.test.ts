import { describe, expect, test } from 'vitest'
import { boundsOf, boundsTable } from '../../bench/report/bounds.ts'
import { microseconds, ratio, table } from '../../bench/report/format.ts'
import { fillPage } from '../../bench/report/page.ts'
import { groupTable, heapTable } from '../../bench/report/tables.ts'
import type { Environment, Measurement, Results } from '../../bench/results.ts'

const environment: Environment = {
  date: '2026-01-01',
  profile: 'full',
  cpu: 'a processor',
  cores: 2,
  memory: 8_000_000_000,
  system: 'Linux, x64',
  versions: {},
  served: 200,
  rounds: 3,
}

const hit: Measurement = {
  scenario: 'hit',
  operation: 'hit',
  concurrency: 1,
  processes: 1,
  contender: 'clients',
  sealed: false,
  store: 'map',
  accounts: 200,
  calls: 300,
  median: 9.04,
  p99: 1_234.5,
  perSecond: 98_765,
  cpu: 10,
  storeCalls: 1,
  bytes: 6_543,
  rounds: [9, 8, 10],
}

const microsoft: Measurement = { ...hit, contender: 'microsoft', median: 60, rounds: [45, 80, 100] }

function results(...measurements: Measurement[]): Results {
  return { environment, measurements, heap: [] }
}

describe('tables', () => {
  test('columns are padded, the first to the left and the others to the right', () => {
    const rows = [
      ['a', '1,000'],
      ['a longer one', undefined],
    ]
    expect(table(['name', 'µs'], rows)).toBe(
      [
        '| name         |    µs |',
        '| ------------ | ----: |',
        '| a            | 1,000 |',
        '| a longer one |     – |',
      ].join('\n'),
    )
  })

  test('a group has a row for each entrant, with every figure', () => {
    const { storeCalls, bytes, ...uncounted } = microsoft
    const [, , ours, theirs] = groupTable([hit, uncounted]).split('\n')
    expect(cells(ours)).toEqual([
      'msal-keyv: ConfidentialClients',
      '9.0',
      '1,235',
      '10.0',
      '98,765',
      '1',
      '6.5',
    ])
    expect(cells(theirs).slice(-2)).toEqual(['–', '–'])
  })

  test('a group of several sizes says which', () => {
    const [head, , ...rows] = groupTable([hit, { ...hit, accounts: 1_000 }]).split('\n')
    expect(cells(head)[1]).toBe('accounts')
    expect(rows.map((row) => cells(row)[1])).toEqual(['200', '1,000'])
  })

  test('what a process keeps is the difference', () => {
    const heap = heapTable([{ ...hit, accounts: 20_000, before: 30_000_000, after: 42_500_000 }])
    expect(cells(heap.split('\n')[2]).slice(1)).toEqual(['20,000', '30', '42.5', '12.5'])
  })

  test.each([
    [9.04, '9.0'],
    [99.96, '100.0'],
    [1_234.5, '1,235'],
  ])('%s µs is %s', (value, text) => {
    expect(microseconds(value)).toBe(text)
  })

  test('ratios have two decimals until they are large', () => {
    expect([ratio(0.295), ratio(28_763.4)]).toEqual(['0.29', '28,763'])
  })
})

describe('bounds', () => {
  const row = (measurements: Measurement[], what: RegExp) =>
    cells(
      boundsTable(results(...measurements))
        .split('\n')
        .find((line) => what.test(line)),
    )
  const ours = /ConfidentialClients \/ Microsoft.*: Map/

  test('measured is the median of the ratios of the rounds, not the ratio of the medians', () => {
    expect(row([hit, microsoft], ours).slice(1)).toEqual(['≤ 0.30', '0.10', '0.10–0.20', 'yes'])
  })

  test('one that is missed says no, and fails nothing', () => {
    const slow = { ...hit, rounds: [45, 80, 100] }
    expect(row([slow, microsoft], ours).slice(1)).toEqual(['≤ 0.30', '1.00', '1.00–1.00', 'no'])
  })

  test('one that was not measured says nothing', () => {
    expect(row([hit], ours).slice(1)).toEqual(['≤ 0.30', '–', '–', '–'])
  })

  test('a lower bound is one', () => {
    const among = { ...hit, scenario: 'accounts', accounts: 5_000 } as const
    const blob = { ...among, contender: 'blob', rounds: [9_000, 8_000, 1_000] } as const
    const slower = { ...blob, rounds: [900, 800, 1_000] }
    expect(row([among, blob], /everybody/).slice(1)).toEqual(['≥ 500', '1,000', '100–1,000', 'yes'])
    expect(row([among, slower], /everybody/).at(-1)).toBe('no')
  })

  test('the largest number of accounts that was measured is compared with one', () => {
    const sizes = [1, 1_000, 1_000_000].map(
      (accounts) => ({ ...hit, scenario: 'accounts', store: 'redis', accounts }) as const,
    )
    expect(boundsOf(results(...sizes)).map(({ of }) => of.accounts)).toContain(1_000_000)
  })
})

describe('a page', () => {
  const page =
    '# Page\n\n<!-- bench:a -->\nold\n<!-- /bench:a -->\n\ntext\n\n<!-- bench:b -->\n<!-- /bench:b -->\n'

  test('gets its blocks between the markers, and keeps the rest', () => {
    const filled = fillPage(page, { a: 'one', b: 'two' })
    expect(filled).toBe(
      '# Page\n\n<!-- bench:a -->\n\none\n\n<!-- /bench:a -->\n\ntext\n\n<!-- bench:b -->\n\ntwo\n\n<!-- /bench:b -->\n',
    )
    expect(fillPage(filled, { a: 'one', b: 'two' })).toBe(filled)
  })

  test('that lacks a place, or has one too many, is an error', () => {
    expect(() => fillPage(page, { a: 'one', b: 'two', c: 'three' })).toThrow('no place for c')
    expect(() => fillPage(page, { a: 'one' })).toThrow('a place for b')
  })
})

function cells(row = ''): string[] {
  return row
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim())
}
