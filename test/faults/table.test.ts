import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import {
  CLUSTER_FAULTS,
  ETCD_FAULTS,
  MEMCACHED_FAULTS,
  MYSQL_FAULTS,
  OPERATIONS,
  POSTGRES_FAULTS,
  REDIS_FAULTS,
  type Row,
  SENTINEL_FAULTS,
  SQLITE_FAULTS,
  VALKEY_FAULTS,
} from './table.ts'

const PAGE = new URL('../../docs/reliability.md', import.meta.url)
const BEGIN =
  '<!-- every row is a test of test/faults; `UPDATE_DOCS=1 npx vitest run test/faults/table.test.ts` writes it -->'

const SUITES: [string, Record<string, Row>][] = [
  ['redis', REDIS_FAULTS],
  ['sentinel', SENTINEL_FAULTS],
  ['redis-cluster', CLUSTER_FAULTS],
  ['sqlite', SQLITE_FAULTS],
  ['postgres', POSTGRES_FAULTS],
  ['valkey', VALKEY_FAULTS],
  ['mysql', MYSQL_FAULTS],
  ['etcd', ETCD_FAULTS],
  ['memcached', MEMCACHED_FAULTS],
]

function rendered(): string {
  const head = ['store', 'fault', ...OPERATIONS, 'within', 'works again']
  const rows = SUITES.flatMap(([, rows]) => Object.values(rows)).map((row) => [
    row.store,
    row.fault,
    ...OPERATIONS.map((operation) => row.outcomes[operation]),
    row.within.endsWith('Timeout') ? `\`${row.within}\`` : row.within,
    row.resumes,
  ])
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

test('the table of docs/reliability.md is what the suite asserts', () => {
  const page = readFileSync(PAGE, 'utf8')
  const [head, rest = ''] = page.split(`${BEGIN}\n\n`)
  const after = rest.replace(/^(?:\|.*\n?)*/, '')
  if (process.env.UPDATE_DOCS) writeFileSync(PAGE, `${head}${BEGIN}\n\n${rendered()}\n${after}`)
  else expect(rest.slice(0, rest.length - after.length).trim()).toBe(rendered())
})

test.each(SUITES)('%s.test.ts has a test for every row', (suite, rows) => {
  const source = readFileSync(new URL(`${suite}.test.ts`, import.meta.url), 'utf8')
  const tested = (name: string) => new RegExp(`^ {4,6}${name}: \\{|_FAULTS\\.${name}\\b`, 'm').test(source)
  expect(Object.keys(rows).filter((name) => !tested(name))).toEqual([])
})

test.each(SUITES)('%s: what times out does so by storeTimeout', (_suite, rows) => {
  for (const row of Object.values(rows)) {
    const waits = Object.values(row.outcomes).some((outcome) => outcome.endsWith('times out'))
    if (waits) expect(row.within, row.fault).toBe('storeTimeout')
  }
})
