import { expect, onTestFinished, test, vi } from 'vitest'
import { Locks } from '../../src/records/locks.ts'

test('first come, first served, and nothing is kept when all are done', async () => {
  const tails = new Map<string, Promise<void>>()
  const locks = new Locks(tails)
  const order: number[] = []
  await Promise.all(
    [1, 2, 3].map(async (number) => {
      const release = await locks.acquire('key', 60_000)
      await undefined
      order.push(number)
      release()
      release()
    }),
  )
  expect(order).toEqual([1, 2, 3])
  expect(tails.size).toBe(0)
})

test('another key does not wait', async () => {
  const locks = new Locks<string>(new Map())
  await locks.acquire('one', 60_000)
  await locks.acquire('two', 60_000)
})

test('a holder that never releases delays those who wait once, not one after the other', async () => {
  const locks = new Locks<string>(new Map())
  await locks.acquire('key', 60_000)
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const waiting = Array.from({ length: 20 }, async () => (await locks.acquire('key', 20))())
  await vi.advanceTimersByTimeAsync(20)
  await Promise.all(waiting)
  await locks.acquire('key', 60_000)
})
