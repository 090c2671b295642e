import { describe, expect, test } from 'vitest'
import {
  type CurrentGeneration,
  decodeGeneration,
  GENERATION_LIFETIME,
  GenerationPin,
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
  const record = generationRecord(KEY)
  const current = decodeGeneration(encodeRecord(record), KEY)
  expect(current).toEqual({
    kind: 'known',
    id: record.generation,
    evictedAt: record.expiresAt - GENERATION_LIFETIME,
  })
  expect(record.expiresAt).toBeGreaterThanOrEqual(before + GENERATION_LIFETIME)
  expect(GENERATION_LIFETIME).toBeGreaterThan(LONGEST_TTL)
})

test('no record is no eviction; one that says nothing readable is not none (P8)', () => {
  expect(decodeGeneration(undefined, KEY)).toEqual({ kind: 'none' })
  const { generation, ...nameless } = generationRecord(KEY)
  for (const value of [
    '',
    'nonsense',
    7,
    { v: 1 },
    encodeRecord({ ...nameless, generation: undefined }),
    encodeRecord(generationRecord('mk1_{another}_g')),
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

describe('a pin', () => {
  const NONE: CurrentGeneration = { kind: 'none' }
  const UNREADABLE: CurrentGeneration = { kind: 'unreadable' }
  const known = (id: string): CurrentGeneration => ({ kind: 'known', id, evictedAt: 0 })

  describe('without a generation of its own', () => {
    test('it takes the first that a load finds: of the valid record, or of the last eviction', () => {
      const byRecord = new GenerationPin()
      expect(byRecord.admits(undefined, NONE)).toBe(true)
      expect(byRecord.generation).toBeUndefined()
      expect(byRecord.admits('g', NONE)).toBe(true)
      expect(byRecord.generation).toBe('g')

      const byEviction = new GenerationPin()
      expect(byEviction.admits(undefined, known('h'))).toBe(true)
      expect(byEviction.generation).toBe('h')
    })

    test('a sign-in through the plugin gives it one, and a later one does not give it another', () => {
      const pin = new GenerationPin()
      pin.join('g')
      pin.join('h')
      expect(pin.generation).toBe('g')
      expect(pin.admits('h', NONE)).toBe(false)
    })
  })

  describe('of one generation', () => {
    test.each([
      ['its own record', 'g', NONE],
      ['its own record, after an eviction that made its generation', 'g', known('g')],
      ['nothing', undefined, NONE],
      ['nothing, after the eviction that made its generation', undefined, known('g')],
    ] as const)('it admits %s', (_, stored, current) => {
      const pin = new GenerationPin('g')
      expect(pin.admits(stored, current)).toBe(true)
      expect(pin.isEnded).toBe(false)
    })

    test.each([
      ['the record of another', 'h', NONE],
      ['nothing, after an eviction', undefined, known('h')],
      ['the record of the sign-in after an eviction', 'h', known('h')],
      ['a generation record that says nothing', undefined, UNREADABLE],
    ] as const)('it ends with %s, and stays ended (P3)', (_, stored, current) => {
      const pin = new GenerationPin('g')
      expect(pin.admits(stored, current)).toBe(false)
      expect(pin.admits('g', NONE)).toBe(false)
      expect(pin.isEnded).toBe(true)
      expect(pin.generation).toBe('g')
    })

    test('it can be ended by whoever knows better', () => {
      const pin = new GenerationPin('g')
      pin.end()
      expect(pin.admits('g', NONE)).toBe(false)
    })
  })
})
