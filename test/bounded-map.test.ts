import { expect, test } from 'vitest'
import { BoundedMap } from '../src/bounded-map.ts'

/** A memo, and what it had to make. */
function memo(most: number) {
  const made: string[] = []
  const values = new BoundedMap<string>(most)
  const get = (key: string) =>
    values.getOrMake(key, () => {
      made.push(key)
      return key.toUpperCase()
    })
  return { get, made }
}

test('makes a value once', () => {
  const { get, made } = memo(2)
  expect([get('a'), get('b'), get('a'), get('b')]).toEqual(['A', 'B', 'A', 'B'])
  expect(made).toEqual(['a', 'b'])
})

test('keeps so many: the oldest leave first, and are made again', () => {
  const { get, made } = memo(2)
  for (const key of ['a', 'b', 'c', 'b', 'c', 'a']) get(key)
  expect(made).toEqual(['a', 'b', 'c', 'a'])
})

test('keeps nothing of what could not be made', () => {
  const values = new BoundedMap<string>(1)
  const fail = () => {
    throw new Error('no')
  }
  expect(() => values.getOrMake('a', fail)).toThrow('no')
  expect(values.getOrMake('a', () => 'A')).toBe('A')
})
