import { expect, test } from 'vitest'
import type * as TokenRecordList from '../../src/accounts/token-records.ts'
import { listedRecords, listRecord } from '../../src/accounts/token-records.ts'
import { KeyNames } from '../../src/records/key-names.ts'
import { mutant } from '../support/mutant.ts'

const names = new KeyNames({ clientId: 'app', namespace: undefined, keySecret: undefined })
const LATER = Date.now() + 60_000
const longRunning = (n: number, expiresAt = LATER) => ({
  key: names.longRunningProcess(`process ${n}`),
  expiresAt,
})

test('what was listed is found again, until it expires', () => {
  const listed = [longRunning(1), longRunning(2, Date.now() - 1)]
  expect(listedRecords(listRecord('list', listed))).toEqual([longRunning(1)])
})

test('the list lives as long as what it lists', () => {
  expect(listRecord('list', [longRunning(1, 5), longRunning(2, 7), longRunning(3, 6)]).expiresAt).toBe(7)
})

test('it keeps the last 500', async () => {
  const listed = Array.from({ length: 501 }, (_, n) => longRunning(n))
  expect(listedRecords(listRecord('list', listed))).toEqual(listed.slice(1))
  const broken = await mutant<typeof TokenRecordList>('list of token records: bound lifted', 'listRecord')
  expect(broken.listedRecords(broken.listRecord('list', listed))).toHaveLength(501)
})

test.each(['nonsense', '{}', '7', '[7]', '[["other",1]]', '[[7,1]]', `[["${longRunning(1).key}","soon"]]`])(
  'the body %j lists nothing',
  (body) => {
    expect(listedRecords({ key: 'list', generation: undefined, expiresAt: LATER, body })).toEqual([])
  },
)

test('no list, nothing listed', () => {
  expect(listedRecords(undefined)).toEqual([])
})
