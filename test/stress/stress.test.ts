// Many processes on one store, disturbed, and a checker that reads what they saw (checker.ts says what it checks).
// On Redis, every other process uses Keyv 6. Every run prints its seed:
//
//   STRESS_SEED=<seed> npx vitest run test/stress/stress.test.ts
//
// gives every lane of every process the same operations in the same order, which the test checks, and plans the same
// faults. How far the lanes get, and how they interleave, is the machine's: a seed replays the load, not the race.
//
// The full size, a minute of 8 processes and 200 accounts on Redis and half a minute of 4 processes on SQLite:
//
//   STRESS=1 npx vitest run test/stress/stress.test.ts
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { mutantLibrary } from '../support/mutant-library.ts'
import type { StoreAddress } from '../support/open-store.ts'
import { makeFolder, missingProgram, removeFolder } from '../support/programs.ts'
import { RedisServer } from '../support/redis-server.ts'
import type { Rule } from './checker.ts'
import { redisFaults, sqliteFaults } from './faults.ts'
import { describeReport, type StressOptions, type StressReport, stress } from './run.ts'

const FULL = process.env.STRESS === '1'
const seed = process.env.STRESS_SEED ?? randomBytes(6).toString('hex')

type Size = Pick<StressOptions, 'duration' | 'operations'> & Omit<StressOptions['plan'], 'seed'>

const REDIS: Size = FULL
  ? { processes: 8, accounts: 200, lanes: 8, duration: 60_000, operations: 100_000 }
  : { processes: 4, accounts: 40, lanes: 8, duration: 4_000, operations: 1_000 }
const SQLITE: Size = FULL
  ? { processes: 4, accounts: 200, lanes: 4, duration: 30_000, operations: 10_000 }
  : { processes: 2, accounts: 20, lanes: 4, duration: 2_500, operations: 500 }
/** So few accounts that everything meets. */
const CROWDED: Size = { processes: 2, accounts: 6, lanes: 12, duration: 1_500, operations: 500 }
const RESPITE = FULL ? 4_000 : 900

/** Much longer than the start and the end of a run take. */
const ALLOWANCE = 120_000

async function onRedis(
  { duration, operations, ...plan }: Size,
  more: { seed: string; library?: string },
): Promise<StressReport> {
  const server = await RedisServer.start()
  const faults = await redisFaults(server, FULL ? 3_000 : 1_200)
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
  const faults = await sqliteFaults(store, FULL ? 2_500 : 600)
  try {
    return await run('SQLite', {
      plan: { seed, ...plan },
      ...{ store, keyvMajors: [5], duration, operations, faults: faults.kinds, respite: RESPITE },
      // A write that has been given up still waits for the lock, up to the busy timeout of 5,000.
      ...{ storeTimeout: 1_500, settle: FULL ? 4_000 : 1_000 },
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

/** [name, the rule that catches it, file, line, replacement] */
const MUTANTS: [name: string, rule: Rule, file: string, line: string, replacement: string][] = [
  [
    'generation check off',
    'P3',
    'partitions/generation.ts',
    "current.kind === 'none' || (current.kind === 'known' && current.id === generation)",
    'current !== undefined || generation',
  ],
  [
    'pin off',
    'P3',
    'msal/account-plugin.ts',
    'if (this.#generation === undefined) this.#generation = partition?.generation',
    'if (partition !== undefined) this.#generation = partition.generation',
  ],
  [
    'lock off',
    'lock',
    'partitions/records.ts',
    'await this.#locks.acquire(key, this.#store.timeout / 2)',
    '() => {}',
  ],
  [
    'generation not adopted by a sign-in',
    'P5',
    'partitions/repository.ts',
    "if (current.kind === 'known') return current.id",
    "if (current.kind === 'known') return newGeneration()",
  ],
  [
    'calls shared whoever they are for',
    'P1',
    'clients/silent-tokens.ts',
    'requestKey({ ...request, ...subject, account: info }),',
    'requestKey(request),',
  ],
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

  test.each(MUTANTS)(
    'broken on purpose, it is caught: %s',
    { timeout: ALLOWANCE },
    async (_, rule, ...change) => {
      const broken = await mutantLibrary(...change)
      try {
        expect(await rulesBrokenBy(broken.url, rule)).toContain(rule)
      } finally {
        await broken.remove()
      }
    },
  )

  test('an unhandled rejection in one of the processes is seen', { timeout: ALLOWANCE }, async () => {
    const broken = await mutantLibrary(
      'partitions/repository.ts',
      'return { homeAccountId, evictedAt: new Date(), existed }',
      "void Promise.reject(new Error('nobody handles this'))\nreturn { homeAccountId, evictedAt: new Date(), existed }",
    )
    try {
      await expect(onRedis(CROWDED, { seed, library: broken.url })).rejects.toThrow('nobody handles this')
    } finally {
      await broken.remove()
    }
  })
})

test('on SQLite: no violation', { timeout: 4 * SQLITE.duration + ALLOWANCE }, async () => {
  const { violations, operations, unplanned, complaints } = await onSqlite(SQLITE)
  expect(violations).toEqual([])
  expect(operations).toBeGreaterThanOrEqual(SQLITE.operations)
  expect(unplanned).toBe(0)
  expect(complaints).toBe('')
})
