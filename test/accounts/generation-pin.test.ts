import { describe, expect, test } from 'vitest'
import type { CurrentGeneration } from '../../src/accounts/generation.ts'
import { GenerationPin } from '../../src/accounts/generation.ts'

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
