import { expect, test } from 'vitest'
import {
  decodeGeneration,
  GENERATION_LIFETIME,
  generationRecord,
  isValid,
  LONGEST_TTL,
  newGeneration,
} from '../../src/accounts/generation.ts'
import { encodeRecord } from '../../src/records/record.ts'

const KEY = 'mk1_{account}_g'

test('generations are random, and none is like another', () => {
  const generations = Array.from({ length: 100 }, newGeneration)
  expect(new Set(generations).size).toBe(100)
  for (const generation of generations) expect(generation).toMatch(/^[\w-]{22}$/)
})

test('a generation record says which generation, and since when; it outlives all that it invalidates', () => {
  const before = Date.now()
  const record = generationRecord(KEY, 'g')
  const current = decodeGeneration(encodeRecord(record), KEY)
  expect(current).toEqual({ kind: 'known', id: 'g', evictedAt: record.expiresAt - GENERATION_LIFETIME })
  expect(record.expiresAt).toBeGreaterThanOrEqual(before + GENERATION_LIFETIME)
  expect(GENERATION_LIFETIME).toBeGreaterThan(LONGEST_TTL)
})

test('no record is no eviction; one that says nothing readable is not none (P8)', () => {
  expect(decodeGeneration(undefined, KEY)).toEqual({ kind: 'none' })
  const { generation, ...nameless } = generationRecord(KEY, 'g')
  for (const value of [
    '',
    'nonsense',
    7,
    { v: 1 },
    encodeRecord({ ...nameless, generation: undefined }),
    encodeRecord(generationRecord('mk1_{another}_g', 'g')),
  ]) {
    expect(decodeGeneration(value, KEY)).toEqual({ kind: 'unreadable' })
  }
})

test('valid is what carries the last generation, or any where there was no eviction', () => {
  const known = { kind: 'known', id: 'g', evictedAt: 0 } as const
  expect(isValid('g', { kind: 'none' })).toBe(true)
  expect([isValid('g', known), isValid('h', known)]).toEqual([true, false])
  expect(isValid('g', { kind: 'unreadable' })).toBe(false)
})
