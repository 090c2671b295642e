import { expect, test } from 'vitest'
import { median, pairedRatio, quantile, rounded } from '../../bench/statistics.ts'

test.each([
  [0.5, 5],
  [0.99, 10],
  [0.9, 9],
  [0, 1],
  [1, 10],
])('quantile %s of 1 to 10, by nearest rank, is %s', (q, expected) => {
  expect(quantile([10, 2, 8, 4, 6, 5, 7, 3, 9, 1], q)).toBe(expected)
})

test('the 99th percentile of 100 samples is not the worst of them', () => {
  const samples = Array.from({ length: 100 }, (_, n) => n + 1)
  expect(quantile(samples, 0.99)).toBe(99)
})

test('the median is the middle, or the mean of the two in the middle', () => {
  expect(median([9, 1, 5])).toBe(5)
  expect(median([9, 1, 5, 7])).toBe(6)
})

test('nothing can be said of no samples', () => {
  expect(quantile([], 0.5)).toBeNaN()
  expect(median([])).toBeNaN()
})

test('samples stay in their order', () => {
  const samples = [3, 1, 2]
  quantile(samples, 0.5)
  median(samples)
  expect(samples).toEqual([3, 1, 2])
})

test('rounds are compared in pairs, so that a slow round of both says nothing', () => {
  const [ours, theirs] = [
    [10, 100, 10, 10],
    [20, 200, 20, 40],
  ]
  expect(pairedRatio(ours, theirs)).toEqual({ median: 0.5, lower: 0.25, upper: 0.5 })
})

test.each([
  [[1], []],
  [[], []],
])('rounds that do not pair are refused: %j and %j', (of, over) => {
  expect(() => pairedRatio(of, over)).toThrow(RangeError)
})

test('figures are rounded to what they are good for', () => {
  expect(rounded(123.456)).toBe(123.5)
  expect(rounded(98_765.4)).toBe(98_770)
})
