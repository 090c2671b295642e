import { expect, test } from 'vitest'
import { type Choose, everyOrder, Schedule } from './explorer.ts'

/** Two actors of two steps each: one writes a, then b; the other reads a, then b. @returns all that it can have read */
async function readings(commute?: Parameters<typeof everyOrder>[1]) {
  const seen = new Set<string>()
  const orders = await everyOrder(async (choose: Choose) => {
    const schedule = new Schedule(choose)
    const values = { a: 0, b: 0 }
    const writer = async () => {
      await schedule.step('writer', 'writes a', () => values.a++)
      await schedule.step('writer', 'writes b', () => values.b++)
    }
    const reader = async () => {
      const a = await schedule.step('reader', 'reads a', () => values.a)
      return [a, await schedule.step('reader', 'reads b', () => values.b)].join()
    }
    const outcome = Promise.all([writer(), reader()])
    if (await schedule.run()) seen.add((await outcome)[1])
  }, commute)
  return { orders, seen: [...seen].sort() }
}

test('every order is taken, each once', async () => {
  expect(await readings()).toEqual({ orders: 6, seen: ['0,0', '0,1', '1,0', '1,1'] })
})

test('of orders that differ only in steps that commute one is taken, and nothing that can happen is missed', async () => {
  const { orders, seen } = await readings((one, other) => one.label.at(-1) !== other.label.at(-1))
  expect(orders).toBeLessThan(6)
  expect(seen).toEqual(['0,0', '0,1', '1,0', '1,1'])
})

test('steps that do not commute, taken for such that do, hide what can happen', async () => {
  expect((await readings(() => true)).orders).toBe(1)
})
