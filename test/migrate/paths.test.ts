/** Each path of docs/migrate.md, by its own samples, with old and new servers as processes on one real Redis. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { EntraStandIn, type User } from '../support/entra.ts'
import { missingProgram } from '../support/programs.ts'
import { RedisServer } from '../support/redis-server.ts'
import { sampleUnder } from '../support/run-sample.ts'
import type { Kind } from './messages.ts'
import { Server } from './server.ts'

const PAGE = 'docs/migrate.md'

let redis: RedisServer
const entra = new EntraStandIn()

const isMissing = missingProgram('redis-server')
beforeAll(async () => {
  if (!isMissing) redis = await RedisServer.start()
})
afterAll(() => redis?.stop())
beforeEach(async () => void (await redis.command('FLUSHALL')))

/**
 * The servers of some tests, each in a process of its own. One that is no longer asked anything has stopped as far as
 * the others can tell.
 */
function servers<Name extends string>(kinds: Record<Name, [kind: Kind, sideBySide?: boolean]>) {
  const started: Partial<Record<Name, Server>> = {}
  beforeAll(async () => {
    const starting = Object.entries<[Kind, boolean?]>(kinds).map(
      async ([name, [kind, sideBySide = false]]) => {
        started[name as Name] = await Server.start(entra, { kind, sideBySide, redisUrl: redis.url })
      },
    )
    await Promise.all(starting)
  })
  afterAll(async () => {
    await Promise.all(Object.values<Server | undefined>(started).map((server) => server?.end()))
  })
  return started as Record<Name, Server>
}

/** Somebody in one browser, whose session has the same name. */
class Browser {
  readonly user: User
  readonly session: string

  constructor(session: string, user = entra.user()) {
    this.session = session
    this.user = user
  }

  async signIn(on: Server): Promise<void> {
    await on.signIn(this.session, entra.code(this.user))
  }

  signOut(on: Server): Promise<unknown> {
    return on.signOut(this.session)
  }

  /** Whose token the servers answer with, from what they have and after a refresh. */
  async expectSignedIn(...servers: Server[]): Promise<void> {
    for (const forceRefresh of [false, true]) {
      for (const server of servers) {
        const token = await server.token(this.session, forceRefresh)
        expect(entra.ownerOf(token ?? '')?.homeAccountId).toBe(this.user.homeAccountId)
      }
    }
  }

  async expectSignedOut(...servers: Server[]): Promise<void> {
    for (const server of servers) expect(await server.token(this.session)).toBeUndefined()
  }
}

const browsers = (...names: string[]) =>
  names.map((name) => new Browser(name)) as [Browser, Browser, Browser, Browser]

async function accountsStored(): Promise<number> {
  return ((await redis.command('KEYS', 'mk1_*_p')) as string[]).length
}

/** Nobody signs in while this runs. */
async function withoutSignIns(run: () => Promise<void>): Promise<void> {
  const before = entra.tokenRequests.authorization_code
  await run()
  expect(entra.tokenRequests.authorization_code).toBe(before)
}

describe.skipIf(isMissing)('from one blob', () => {
  const server = servers({ old: ['blob before'], one: ['blob after'], two: ['blob after'] })

  test('in one go: imported while old servers run, and again when they have stopped', async () => {
    const { old, one, two } = server
    const [alice, bob, carol, dave] = browsers('alice', 'bob', 'carol', 'dave')
    for (const browser of [alice, bob, carol]) await browser.signIn(old)

    await Promise.all([one.import(), two.import(), alice.expectSignedIn(old)])
    await bob.signOut(old)
    await dave.signIn(old)
    await carol.expectSignedIn(old)
    // The old server has stopped.
    await one.import()
    expect(await accountsStored()).toBe(3)

    await withoutSignIns(async () => {
      for (const browser of [alice, carol, dave]) await browser.expectSignedIn(one, two)
    })
    await bob.expectSignedOut(one, two)

    await carol.signOut(two)
    await one.import()
    await carol.expectSignedOut(one, two)
    await bob.signIn(one)
    await bob.expectSignedIn(one, two)
  })

  test('and back', async () => {
    const { old, one, two } = server
    const [alice, bob, carol] = browsers('alice', 'bob', 'carol')
    for (const browser of [alice, bob]) await browser.signIn(old)
    await one.import()
    for (const browser of [alice, bob]) await browser.expectSignedIn(two)
    await carol.signIn(one)
    await bob.signOut(two)

    await one.export(['alice', 'bob', 'carol'])
    await withoutSignIns(async () => {
      for (const browser of [alice, carol]) await browser.expectSignedIn(old)
    })
    await bob.expectSignedOut(old)
  })
})

const RECORDS: [path: string, before: Kind, after: Kind][] = [
  ['from DistributedCachePlugin', 'distributed before', 'distributed after'],
  ['from a plugin of your own', 'own before', 'own after'],
]

describe.skipIf(isMissing).each(RECORDS)('%s', (_, before, after) => {
  const server = servers({ old: [before], one: [after, true], two: [after, true], rest: [after] })

  test('account by account, while old servers run and when they have stopped', async () => {
    const { old, one, two } = server
    const [alice, bob, carol, dave] = browsers('alice', 'bob', 'carol', 'dave')
    const late = new Browser('late')
    for (const browser of [alice, bob, carol, late]) await browser.signIn(old)

    await withoutSignIns(async () => {
      for (const browser of [alice, bob]) await browser.expectSignedIn(one, old, two, old)
    })
    await dave.signIn(one)
    await dave.expectSignedIn(old, two)

    // Signed out on an old server, before and after the account moved; and on a new one.
    await carol.signOut(old)
    await bob.signOut(old)
    await alice.signOut(two)
    for (const browser of [alice, bob, carol]) await browser.expectSignedOut(one, two, old)
    await alice.signIn(one)
    await alice.expectSignedIn(one, two, old)

    // The old server has stopped.
    await withoutSignIns(async () => {
      for (const browser of [alice, dave, late]) await browser.expectSignedIn(one, two)
    })
    for (const browser of [bob, carol]) await browser.expectSignedOut(one, two)
  })

  test('in one go', async () => {
    const { old, rest } = server
    const [alice, bob, carol] = browsers('alice', 'bob', 'carol')
    for (const browser of [alice, bob]) await browser.signIn(old)
    await bob.signOut(old)
    // The old server has stopped.
    await withoutSignIns(() => alice.expectSignedIn(rest))
    await bob.expectSignedOut(rest)
    await carol.signIn(rest)
    await carol.expectSignedIn(rest)
    await alice.signOut(rest)
    await alice.expectSignedOut(rest)
  })

  test('a sign-out on an old server ends the sessions of browsers that were on new ones', async () => {
    const { old, one, two } = server
    const user = entra.user()
    const [desk, phone] = [new Browser('desk', user), new Browser('phone', user)]
    for (const browser of [desk, phone]) await browser.signIn(old)
    for (const browser of [desk, phone]) await browser.expectSignedIn(one, two)
    await desk.signOut(old)
    await phone.expectSignedOut(two)
    expect(await accountsStored()).toBe(0)
  })

  test('an eviction ends the sessions of all browsers, on old servers and new ones', async () => {
    const { old, one, two } = server
    const user = entra.user()
    const [desk, phone, tablet] = [
      new Browser('desk', user),
      new Browser('phone', user),
      new Browser('tablet', user),
    ]
    for (const browser of [desk, phone, tablet]) await browser.signIn(old)
    await desk.expectSignedIn(one)
    await phone.expectSignedIn(two)
    await desk.signOut(one)
    await phone.expectSignedOut(one, two, old)

    // The user signs in again in one browser. The others have signed out, whether they moved before or not.
    await desk.signIn(two)
    await desk.expectSignedIn(one, two, old)
    for (const browser of [phone, tablet]) await browser.expectSignedOut(one, two)
    await desk.expectSignedIn(one, two, old)
  })

  test('and back, by starting the old servers again', async () => {
    const { old, one, two } = server
    const [alice, bob, carol] = browsers('alice', 'bob', 'carol')
    for (const browser of [alice, bob]) await browser.signIn(old)
    for (const browser of [alice, bob]) await browser.expectSignedIn(one, two)
    await carol.signIn(one)
    await bob.signOut(two)
    await withoutSignIns(async () => {
      for (const browser of [alice, carol]) await browser.expectSignedIn(old)
    })
    await bob.expectSignedOut(old)
  })
})

describe.skipIf(isMissing)('from DistributedCachePlugin', () => {
  const server = servers({ old: ['distributed before'], rest: ['distributed after'] })

  test('who signed out and whose tokens are still in the record of another does not come back', async () => {
    const { old, rest } = server
    const [alice, bob] = browsers('alice', 'bob')
    for (const browser of [alice, bob]) await browser.signIn(old)
    await pollute(alice.user, bob.user)
    await bob.signOut(old)

    await alice.expectSignedIn(rest)
    await bob.expectSignedOut(rest)
    expect(await accountsStored()).toBe(1)
  })

  /** As a client does that both share: all of its memory goes into the record of the first. */
  async function pollute(owner: User, other: User): Promise<void> {
    const [record, foreign] = await Promise.all(
      [owner, other].map(async (user) => JSON.parse(String(await redis.command('GET', user.homeAccountId)))),
    )
    for (const section of ['Account', 'IdToken', 'AccessToken', 'RefreshToken'])
      Object.assign(record[section], foreign[section])
    await redis.command('SET', owner.homeAccountId, JSON.stringify(record))
  }

  test('the change that the page shows is the one between these old and new servers', () => {
    const change = sampleUnder(PAGE, '## From DistributedCachePlugin', 'diff').trimEnd().split('\n')
    const without = (sign: '-' | '+') =>
      change.filter((line) => !line.startsWith(sign)).map((line) => line.slice(1))
    const source = (file: string) =>
      readFileSync(new URL(file, import.meta.url), 'utf8')
        .trimEnd()
        .split('\n')
    expect(without('+')).toEqual(source('auth-provider-before.ts'))
    const after = without('-').join('\n').replace("'msal-keyv'", "'../../src/index.ts'")
    expect(after.split('\n')).toEqual(source('auth-provider-after.ts'))
  })
})

describe.skipIf(isMissing)('from passport-azure-ad', () => {
  const server = servers({ old: ['passport before'], one: ['passport after'], two: ['passport after'] })

  test('session by session, while old servers run and when they have stopped', async () => {
    const { old, one, two } = server
    const [alice, bob, carol] = browsers('alice', 'bob', 'carol')
    const late = new Browser('late')
    for (const browser of [alice, bob, carol, late]) await browser.signIn(old)

    await withoutSignIns(async () => {
      for (const browser of [alice, bob]) await browser.expectSignedIn(one, old, two, old)
    })
    await carol.signOut(old)
    await bob.signOut(two)
    for (const browser of [bob, carol]) await browser.expectSignedOut(one, two, old)

    // The old server has stopped.
    await withoutSignIns(async () => {
      for (const browser of [alice, late]) await browser.expectSignedIn(one, two)
    })
    for (const browser of [bob, carol]) await browser.expectSignedOut(one, two)
  })

  test('an eviction ends the sessions of all browsers on new servers', async () => {
    const { old, one, two } = server
    const user = entra.user()
    const [desk, phone] = [new Browser('desk', user), new Browser('phone', user)]
    for (const browser of [desk, phone]) await browser.signIn(old)
    await desk.expectSignedIn(one, two)
    await desk.signOut(two)
    await phone.expectSignedOut(one, two)
  })
})
