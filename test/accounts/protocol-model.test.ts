import { describe, expect, test } from 'vitest'
import { Random } from '../stress/random.ts'
import { type Choose, type Commute, everyOrder } from '../support/explorer.ts'
import { length } from '../support/length.ts'
import { drawSeed } from '../support/seed.ts'
import {
  type Actor,
  callback,
  end,
  evict,
  findAccounts,
  importAccount,
  longRunning,
  refresh,
  type Session,
  signIn,
  signInAndOpen,
  useOnce,
  type Variant,
  World,
} from './protocol-model.ts'

/** Thrown where a promise is broken, with the order that broke it. */
class Violation extends Error {}

interface Scenario {
  readonly before?: (world: World) => Record<string, Session>
  readonly actors: (sessions: Record<string, Session>) => readonly Actor[]
  /** What is looked at when all is over. */
  readonly after?: (world: World, fail: (what: string) => never) => void
}

const actor = (name: string, play: Actor['play'], faulty = false): Actor => ({ name, play, faulty })

/** In a short run, about as many orders as take a second. */
const MOST_ORDERS = length({ short: 500, long: 60_000 })
const RANDOM_ORDERS = length({ short: 150, long: 10_000 })
/** By so many a broken protocol is found. */
const UNTIL_FOUND = 100_000

/** Reads, and calls for different records, make no difference to one another. */
const commute: Commute = (one, other) => {
  const [first, second] = [one, other].map(({ label }) => /^(reads|writes) ([^;]*)/.exec(label) ?? [])
  if (first?.[1] === undefined || second?.[1] === undefined) return false
  if (first[1] === 'reads' && second[1] === 'reads') return true
  const keys = new Set(first[2]?.split(', '))
  return !second[2]?.split(', ').some((key) => keys.has(key))
}

class Enough extends Error {}

/** @returns in how many orders the scenario was played */
async function search(scenario: Scenario, isProven: boolean): Promise<number> {
  let orders = 0
  const run = everyOrder(async (choose) => {
    if (orders++ > MOST_ORDERS) throw new Enough()
    play(scenario, {}, isProven, choose)
  }, commute)
  await run.catch((error: unknown) => {
    if (!(error instanceof Enough)) throw error
  })
  const choose = anyOrder()
  for (let n = 0; n < RANDOM_ORDERS; n++) play(scenario, {}, isProven, choose)
  return orders
}

/** @throws {Violation} */
function play(scenario: Scenario, variant: Variant, isProven: boolean, choose: Choose): void {
  const world = new World(variant, isProven)
  const trace: string[] = []
  const fail = (what: string): never => {
    throw new Violation(`${what}\n  ${trace.join('\n  ')}`)
  }
  const sessions = scenario.before?.(world) ?? {}
  if (!world.together(scenario.actors(sessions), choose, () => checkState(world, fail), trace)) return
  checkEnd(world, trace, fail)
  scenario.after?.(world, fail)
}

/** Drawn within a test. */
function anyOrder(): Choose {
  const random = new Random(drawSeed())
  return (steps) => random.below(steps.length)
}

/** P3 and P15, in the state as it is. */
function checkState(world: World, fail: (what: string) => never): void {
  for (const { account, sid, before } of world.ended) {
    for (const session of before) {
      if (world.isLive(session)) fail(`${sid === undefined ? 'P3' : 'P15'}: ${JSON.stringify(session)} lives`)
      const isShown = world.partition(account)?.token.startsWith(`${session.chain} `)
      if (sid === undefined && isShown) fail('P3: the evicted chain can be loaded')
    }
  }
  for (const complaint of world.complaints) fail(complaint)
}

/** P5, P14 and P15 when all is over. */
function checkEnd(world: World, trace: readonly string[], fail: (what: string) => never): void {
  const accounts = new Set(world.sessions.map(({ account }) => account))
  for (const account of accounts) {
    const own = world.sessions.filter((session) => session.account === account)
    const isOver = !own.some((session) => world.isLive(session))
    const isImported = world.partition(account)?.token.startsWith('imported')
    // A sign-in that read before an end, and was stored after it, is over with its tokens there until the next end.
    const mayRemain = isImported || trace.some((step) => step.includes('signs in'))
    if (isOver && !mayRemain && world.partition(account) !== undefined && world.ended.length > 0) {
      fail('P15: the tokens outlive the last session')
    }
  }
  for (const session of world.sessions.filter((each) => world.isLive(each))) {
    if (world.displaced.has(session.account)) continue
    const found = world.alone(findAccounts(world, `l ${session.sid}`))
    if (!found.includes(session.account)) fail(`P14: a callback does not find ${JSON.stringify(session)}`)
  }
}

const twoBrowsers = (world: World) => ({
  one: world.alone(signIn(world, 'A', 'one')),
  two: world.alone(signIn(world, 'A', 'two')),
})

const SCENARIOS: Record<string, Scenario> = {
  'two sign-ins through one session, and its end': {
    actors: () => [
      actor('1 signs in', (world) => signIn(world, 'A', 'one')),
      actor('2 signs in', (world) => signIn(world, 'A', 'one')),
      actor('ends', (world) => end(world, 'A', 'one')),
    ],
    after: signsInAgain,
  },
  'B2: a session that was ended before is ended again while somebody signs in through it': {
    before: (world) => {
      const sessions = twoBrowsers(world)
      world.alone(end(world, 'A', 'one'))
      return { ...sessions, again: world.alone(signIn(world, 'A', 'one')) }
    },
    actors: () => [
      actor('signs in', (world) => signIn(world, 'A', 'one')),
      actor('ends', (world) => end(world, 'A', 'one')),
    ],
    after: signsInAgain,
  },
  'the last two sessions end at once': {
    before: twoBrowsers,
    actors: () => [
      actor('ends one', (world) => end(world, 'A', 'one')),
      actor('ends two', (world) => end(world, 'A', 'two')),
    ],
    after: signsInAgain,
  },
  'a refresh of the session that ends, and the end of the other': {
    before: twoBrowsers,
    actors: ({ one }) => [
      actor('refreshes', (world) => refresh(world, one as Session)),
      actor('ends one', (world) => end(world, 'A', 'one')),
      actor('ends two', (world) => end(world, 'A', 'two')),
    ],
  },
  'an end, a refresh, a new sign-in': {
    before: twoBrowsers,
    actors: ({ two }) => [
      actor('refreshes', (world) => refresh(world, two as Session)),
      actor('ends one', (world) => end(world, 'A', 'one')),
      actor('signs in', (world) => signIn(world, 'A', 'three')),
    ],
    after: signsInAgain,
  },
  'B1: a refresh, an eviction, a new sign-in': {
    before: twoBrowsers,
    actors: ({ one }) => [
      actor('refreshes', (world) => refresh(world, one as Session)),
      actor('evicts', (world) => evict(world, 'A')),
      actor('signs in', (world) => signIn(world, 'A', 'one')),
    ],
    after: signsInAgain,
  },
  'a callback, a refresh, a second sign-in': {
    before: twoBrowsers,
    actors: ({ one }) => [
      actor('refreshes', (world) => refresh(world, one as Session)),
      actor('signs in', (world) => signIn(world, 'A', 'three')),
      actor('calls back', (world) => callback(world, 'one')),
    ],
    after: signsInAgain,
  },
  'a refresh that read before a second sign-in is stored after it': {
    before: twoBrowsers,
    actors: ({ one }) => [
      actor('refreshes', (world) => refresh(world, one as Session)),
      actor('signs in', (world) => signIn(world, 'A', 'three')),
    ],
  },
  'the host opens its session by itself, an end comes between': {
    before: (world) => {
      const other = world.alone(signIn(world, 'A', 'other'))
      world.alone(end(world, 'A', 'one'))
      return { other }
    },
    actors: ({ other }) => [
      actor('opens', (world) => signInAndOpen(world, 'A', 'one')),
      actor('ends', (world) => end(world, 'A', 'one')),
      actor('refreshes', (world) => refresh(world, other as Session)),
    ],
  },
  'two imports, an end, an eviction': {
    actors: () => [
      actor('1 imports', (world) => importAccount(world, 'A', 'one')),
      actor('2 imports', (world) => importAccount(world, 'A', 'one')),
      actor('evicts', (world) => evict(world, 'A')),
    ],
    after: signsInAgain,
  },
  'an import, a sign-in, an end': {
    actors: () => [
      actor('imports', (world) => importAccount(world, 'A', 'one')),
      actor('signs in', (world) => signIn(world, 'A', 'two')),
      actor('ends', (world) => end(world, 'A', 'one')),
    ],
    after: signsInAgain,
  },
  'B3: two accounts share a session, one signs in while the other refreshes': {
    before: (world) => {
      world.displaced.add('A')
      world.displaced.add('B')
      return {}
    },
    actors: () => [
      actor('A signs in', (world) => signIn(world, 'A', 'one')),
      actor('B signs in', (world) => signIn(world, 'B', 'one')),
    ],
    after(world, fail) {
      world.alone(refresh(world, { account: 'A' }))
      world.alone(refresh(world, { account: 'B' }))
      const found = world.alone(findAccounts(world, 'l one'))
      if (found.toSorted().join() !== 'A,B') fail(`P14: a callback finds ${found.join()} only`)
    },
  },
  'B4: two processes refresh with one token that works once, and the user signs in': {
    before: twoBrowsers,
    actors: ({ one, two }) => [
      actor('1 refreshes', (world) => useOnce(world, two as Session)),
      actor('2 refreshes', (world) => useOnce(world, one as Session)),
    ],
    after: keepsGoodToken,
  },
  'B11: an eviction that cannot be confirmed, another, a refresh': {
    before: twoBrowsers,
    actors: () => [
      actor('1 evicts', (world) => evict(world, 'A'), true),
      actor('2 signs in and evicts', function* (world) {
        const session = yield* signIn(world, 'A', 'one')
        yield* evict(world, 'A')
        return session
      }),
      actor('3 refreshes', function* (world) {
        // Of the sign-in that comes meanwhile.
        yield* refresh(world, { account: 'A' })
      }),
    ],
  },
  'an end that cannot be confirmed, and a sign-in through the same session that is ended': {
    before: twoBrowsers,
    actors: () => [
      actor('1 ends', (world) => end(world, 'A', 'one'), true),
      actor('2 signs in and ends', function* (world) {
        yield* signIn(world, 'A', 'one')
        yield* end(world, 'A', 'one')
      }),
    ],
  },
  'writes of a sign-in that come late': {
    before: twoBrowsers,
    actors: () => [
      actor('signs in', (world) => signIn(world, 'A', 'one'), true),
      actor('ends', (world) => end(world, 'A', 'one')),
      actor('evicts', (world) => evict(world, 'A')),
    ],
  },
  'N2: long-running work of an account that was evicted, and of the same one anew': {
    before: (world) => {
      world.alone(longRunning(world, 'A', 'one', 'work'))
      return {}
    },
    actors: () => [
      actor('goes on', (world) => longRunning(world, 'A', 'one', 'work')),
      actor('evicts, and begins anew', function* (world) {
        yield* evict(world, 'A')
        yield* longRunning(world, 'A', 'one', 'other work')
      }),
    ],
    after(world, fail) {
      const record = world.get('t A other work') as { generation: string } | undefined
      const isValid =
        record !== undefined && [undefined, record.generation].includes(world.get('g A') as string)
      const found = world.alone(findAccounts(world, 'l one'))
      if (isValid && !found.includes('A')) fail('P14: a callback does not find the long-running work')
    },
  },
  'B12: an ended session on day 120, while the account lives on': {
    before: twoBrowsers,
    actors: ({ one }) => [
      actor('ends', (world) => end(world, 'A', 'one')),
      actor('lives on', function* (world) {
        for (const days of [0, 50, 70]) {
          yield { does: `after ${days} days`, effect: () => world.passes(days) }
          yield* signIn(world, 'A', 'three')
        }
      }),
      actor('refreshes', (world) => refresh(world, one as Session)),
    ],
  },
  'B12: an ended session on day 120, and a new sign-in through the same one': {
    before: twoBrowsers,
    actors: ({ two }) => [
      actor('ends', (world) => end(world, 'A', 'one')),
      actor('lives on', function* (world) {
        for (const days of [50, 70]) {
          yield { does: `after ${days} days`, effect: () => world.passes(days) }
          yield* refresh(world, two as Session)
        }
        yield* signIn(world, 'A', 'one')
      }),
    ],
  },
  'two browser tabs sign in at once': {
    before: (world) => ({ other: world.alone(signIn(world, 'A', 'other')) }),
    actors: () => [
      actor('1 signs in', (world) => signIn(world, 'A', 'one')),
      actor('2 signs in', (world) => signIn(world, 'A', 'one')),
    ],
    after(world, fail) {
      if (!world.sessions.every((session) => world.isLive(session))) fail('P5: one of two tabs is signed out')
    },
  },
}

/** P5: after all that, a sign-in works at once, and its end ends it. */
function signsInAgain(world: World, fail: (what: string) => never): void {
  const session = world.alone(signIn(world, 'A', 'one'))
  if (!world.isLive(session)) fail('P5: the new sign-in is not there')
  world.alone(callback(world, 'one', 'session'))
  checkState(world, fail)
  if (world.isLive(session)) fail('P15: the end of the new sign-in')
}

/** P3: a token that is good and was stored is what the next load shows. */
function keepsGoodToken(world: World, fail: (what: string) => never): void {
  const shown = world.token('A')
  for (const token of world.storedGood) {
    const [chain = ''] = token.split(' ')
    const isNewest = chain === world.sessions.at(-1)?.chain
    if (isNewest && world.good.get(chain) === token && shown !== token)
      fail('P3: a refusal costs a good token')
  }
}

const names = Object.keys(SCENARIOS)
const scenarioOf = (name: string): Scenario => {
  const found = names.find((each) => each.startsWith(name))
  return SCENARIOS[found ?? ''] as Scenario
}

describe('the protocols hold, in every order of a short scenario, and in many of a long one', () => {
  test.each(names)('%s', { timeout: length({ short: 120_000, long: 1_200_000 }) }, async (name) => {
    expect(await search(scenarioOf(name), true)).toBeGreaterThan(5)
    // Each key of a batch is a call of its own, as over an adapter that is not proven, or of a cluster's nodes.
    expect(await search(scenarioOf(name), false)).toBeGreaterThan(5)
  })
})

const BROKEN: readonly (readonly [keyof Variant, string])[] = [
  ['linksByGeneration', 'B1'],
  ['linksByPartition', 'a refresh that read before'],
  ['signInWritesEpoch', 'B2'],
  ['endLooksFirst', 'the last two sessions end at once'],
  ['ownLinksOnly', 'B3'],
  ['sameIdTwice', 'B11'],
  ['sameIdTwice', 'an end that cannot be confirmed'],
  ['rowsUnverified', 'B12: an ended session on day 120, while'],
  ['noRecordIsLife', 'B12: an ended session on day 120, while'],
  ['constantFirstEpoch', 'B12: an ended session on day 120, and a new'],
  ['epochFromLaterRead', 'the host opens'],
  ['refusalRewrites', 'B4'],
  ['noSecondLook', 'B4'],
  ['listNamesNoLinks', 'N2'],
  ['rowBeforeSince', 'two browser tabs'],
]

describe('as it was, or was drawn, the search finds the order that breaks it', () => {
  test.each(BROKEN)('%s: %s', { timeout: length({ short: 120_000, long: 1_200_000 }) }, (variant, name) => {
    const choose = anyOrder()
    const broken = () => {
      for (let orders = 0; orders < UNTIL_FOUND; orders++)
        play(scenarioOf(name), { [variant]: true }, orders % 2 === 0, choose)
    }
    expect(broken).toThrow(Violation)
  })
})
