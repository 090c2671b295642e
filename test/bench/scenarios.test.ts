import { describe, expect, test } from 'vitest'
import { readArguments, SCENARIOS } from '../../bench/arguments.ts'
import { FULL, long, QUICK } from '../../bench/profile.ts'
import { groupsOf, heapEntrants } from '../../bench/scenarios.ts'

describe.each([FULL, QUICK])('the $name profile', (profile) => {
  const groups = groupsOf(profile)

  test('compares entrants of one store in each group, each of them once', () => {
    for (const { entrants } of groups) {
      expect(new Set(entrants.map(({ store }) => store)).size).toBe(1)
      expect(new Set(entrants.map((it) => JSON.stringify(it))).size).toBe(entrants.length)
    }
  })

  test('has node-redis only where there is a Redis', () => {
    const onRedis = groups.flatMap(({ entrants }) =>
      entrants.filter((it) => it.contender === 'microsoft-redis'),
    )
    expect(onRedis.length).toBeGreaterThan(0)
    expect(onRedis.every(({ store }) => store.startsWith('redis'))).toBe(true)
  })

  test('makes one call at a time on a client that everybody shares through a plugin', () => {
    const withBlob = groups.filter(({ entrants }) => entrants.some(({ contender }) => contender === 'blob'))
    expect(withBlob.length).toBeGreaterThan(0)
    expect(new Set(withBlob.map(({ concurrency }) => concurrency))).toEqual(new Set([1]))
  })

  test('has more accounts than calls in flight, so that none is asked for twice at once', () => {
    for (const { concurrency } of groups) expect(concurrency).toBeLessThan(profile.served)
  })

  test('measures the heap of a peer too', () => {
    expect(heapEntrants(profile).map(({ contender }) => contender)).toEqual(['microsoft', 'clients'])
  })
})

test('a million accounts are on Redis only, and only in a long run', () => {
  const sizes = (profile: typeof FULL) =>
    groupsOf(profile).flatMap(({ entrants }) => entrants.filter(({ accounts }) => accounts === 1_000_000))
  expect(sizes(FULL)).toEqual([])
  expect(new Set(sizes(long(FULL)).map(({ store }) => store))).toEqual(new Set(['redis']))
})

describe('arguments', () => {
  test('without any, everything is measured in full, on what was built', () => {
    expect(readArguments([])).toEqual({
      profile: FULL,
      scenarios: SCENARIOS,
      library: 'dist',
      writeDocs: false,
    })
  })

  test('with all of them', () => {
    const read = readArguments(['--quick', '--long', '--source', '--only', 'heap', '--only', 'hit'])
    expect(read).toMatchObject({ profile: long(QUICK), scenarios: ['heap', 'hit'], library: 'src' })
  })

  test.each([
    [['--only', 'nothing'], /--only takes one of hit, operations/],
    [['--only', 'hit', '--write-docs'], /whole run/],
    [['--source', '--write-docs'], /what users run/],
    [['--fast'], /--fast/],
  ])('%j is refused', (args, problem) => {
    expect(() => readArguments(args)).toThrow(problem)
  })
})
