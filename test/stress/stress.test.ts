// Many processes on one store, disturbed, and a checker that reads what they saw (checker.ts says what it checks).
// On Redis, every other process uses Keyv 6. Every run prints its seed:
//
//   SEED=<seed> npx vitest run test/stress/stress.test.ts
//
// gives every lane of every process the same operations in the same order, which the test checks, and plans the same
// faults. How far the lanes get, and how they interleave, is the machine's: a seed replays the load, not the race.
//
// The full size, a minute of 8 processes and 200 accounts on Redis and half a minute of 4 processes on SQLite:
//
//   LONG=1 npx vitest run test/stress/stress.test.ts
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { LONG, length } from '../support/length.ts'
import { mutantLibrary } from '../support/mutant-library.ts'
import type { MutantName } from '../support/mutants.ts'
import type { StoreAddress } from '../support/open-store.ts'
import { makeFolder, missingProgram, removeFolder } from '../support/programs.ts'
import { RedisServer } from '../support/redis-server.ts'
import type { Rule } from './checker.ts'
import { redisFaults, sqliteFaults } from './faults.ts'
import { describeReport, type StressOptions, type StressReport, stress } from './run.ts'

const seed = process.env.SEED ?? randomBytes(6).toString('hex')

type Size = Pick<StressOptions, 'duration' | 'operations'> & Omit<StressOptions['plan'], 'seed'>

const REDIS: Size = length({
  short: { processes: 3, accounts: 30, lanes: 8, duration: 1_500, operations: 400 },
  long: { processes: 8, accounts: 200, lanes: 8, duration: 60_000, operations: 100_000 },
})
const SQLITE: Size = length({
  short: { processes: 2, accounts: 20, lanes: 4, duration: 1_000, operations: 150 },
  long: { processes: 4, accounts: 200, lanes: 4, duration: 30_000, operations: 10_000 },
})
/** So few accounts that everything meets. */
const CROWDED: Size = { processes: 2, accounts: 6, lanes: 12, duration: 1_500, operations: 500 }
const RESPITE = length({ short: 900, long: 4_000 })

/** Much longer than the start and the end of a run take. */
const ALLOWANCE = 120_000

async function onRedis(
  { duration, operations, ...plan }: Size,
  more: { seed: string; library?: string },
): Promise<StressReport> {
  const server = await RedisServer.start()
  const faults = await redisFaults(server, length({ short: 1_200, long: 3_000 }))
  const { library } = more
  try {
    return await run('Redis', {
      plan: { seed: more.seed, ...plan },
      store: { kind: 'redis', url: server.url },
      ...{ keyvMajors: [5, 6], duration, operations, faults: faults.kinds, respite: RESPITE },
      ...{ storeTimeout: 800, settle: 500 },
      ...(library === undefined ? {} : { library }),
    })
  } finally {
    await faults.stop()
    await server.stop()
  }
}

/** What is found in the library broken on purpose. An unlucky run may miss it, so that there are three. */
async function rulesBrokenBy(library: string, expected: Rule): Promise<Rule[]> {
  let rules: Rule[] = []
  for (let attempt = 1; attempt <= 3 && !rules.includes(expected); attempt++) {
    const { violations } = await onRedis(CROWDED, { seed: `${seed}-${attempt}`, library })
    rules = violations.map(({ rule }) => rule)
  }
  return rules
}

async function onSqlite({ duration, operations, ...plan }: Size): Promise<StressReport> {
  const folder = await makeFolder()
  const store: StoreAddress = { kind: 'sqlite', file: join(folder, 'tokens.sqlite') }
  const faults = await sqliteFaults(store, length({ short: 600, long: 2_500 }))
  try {
    return await run('SQLite', {
      plan: { seed, ...plan },
      ...{ store, keyvMajors: [5], duration, operations, faults: faults.kinds, respite: RESPITE },
      // A write that has been given up still waits for the lock, up to the busy timeout of 5,000.
      ...{ storeTimeout: 1_500, settle: length({ short: 1_000, long: 4_000 }) },
    })
  } finally {
    await faults.stop()
    await removeFolder(folder)
  }
}

async function run(name: string, options: StressOptions): Promise<StressReport> {
  const report = await stress(options)
  if (options.library === undefined) console.info(describeReport(name, options, report))
  return report
}

/** What the checker has to catch, and the rule that does. The last ones interleaving.test.ts catches in every run. */
const MUTANTS: readonly (readonly [MutantName, Rule])[] = [
  ['lock off', 'lock'],
  ['silent calls shared by all', 'P1'],
  ...length<[MutantName, Rule][]>({
    short: [],
    long: [
      ['generation ignored', 'P3'],
      ['pin follows the store', 'P3'],
      ['sign-in does not adopt the generation', 'P5'],
    ],
  }),
]

describe.skipIf(missingProgram('redis-server'))('on Redis', () => {
  test('many processes, pauses and cuts: no violation', {
    timeout: 4 * REDIS.duration + ALLOWANCE,
  }, async () => {
    const { violations, operations, signedIn, unplanned, complaints } = await onRedis(REDIS, { seed })
    expect(violations).toEqual([])
    expect(operations).toBeGreaterThanOrEqual(REDIS.operations)
    expect(signedIn).toBeGreaterThan(REDIS.accounts / 10)
    expect(unplanned).toBe(0)
    expect(complaints).toBe('')
  })

  test.each(MUTANTS)('broken on purpose, it is caught: %s', { timeout: ALLOWANCE }, async (name, rule) => {
    const broken = await mutantLibrary(name)
    try {
      expect(await rulesBrokenBy(broken.url, rule)).toContain(rule)
    } finally {
      await broken.remove()
    }
  })

  test.runIf(LONG)(
    'an unhandled rejection in one of the processes is seen',
    { timeout: ALLOWANCE },
    async () => {
      const broken = await mutantLibrary('eviction leaves a rejection unhandled')
      try {
        await expect(onRedis(CROWDED, { seed, library: broken.url })).rejects.toThrow('nobody handles this')
      } finally {
        await broken.remove()
      }
    },
  )
})

test('on SQLite: no violation', { timeout: 4 * SQLITE.duration + ALLOWANCE }, async () => {
  const { violations, operations, unplanned, complaints } = await onSqlite(SQLITE)
  expect(violations).toEqual([])
  expect(operations).toBeGreaterThanOrEqual(SQLITE.operations)
  expect(unplanned).toBe(0)
  expect(complaints).toBe('')
})
