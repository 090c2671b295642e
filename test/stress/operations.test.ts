import { expect, test } from 'vitest'
import { operationsOf, type Plan } from './operations.ts'

const PLAN: Plan = { seed: 'a seed', processes: 2, lanes: 2, accounts: 20 }

function drawn(plan: Plan, process: number, lane: number) {
  const operations = operationsOf(plan, process, lane)
  return Array.from({ length: 1000 }, () => operations.next().value)
}

test('the same seed gives every lane the same operations, and each lane its own', () => {
  expect(drawn(PLAN, 1, 0)).toEqual(drawn(PLAN, 1, 0))
  expect(drawn(PLAN, 1, 0)).not.toEqual(drawn(PLAN, 1, 1))
  expect(drawn(PLAN, 1, 0)).not.toEqual(drawn(PLAN, 0, 0))
  expect(drawn(PLAN, 1, 0)).not.toEqual(drawn({ ...PLAN, seed: 'another' }, 1, 0))
})

test('every kind of operation, on every account', () => {
  const operations = [drawn(PLAN, 0, 0), drawn(PLAN, 1, 1)].flat()
  expect(new Set(operations.map(({ kind }) => kind)).size).toBe(6)
  expect(new Set(operations.map(({ account }) => account)).size).toBe(22)
})
