import KeyvRedis, { createClient } from '@keyv/redis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type HostSession, type KeyvLike, StoreUnavailableError } from '../../src/index.ts'
import { KeyvStore } from '../../src/store/keyv-store.ts'
import { closeStore, openAdapter } from '../support/open-store.ts'
import { missingProgram } from '../support/programs.ts'
import { RedisServer } from '../support/redis-server.ts'
import { runSample, sampleUnder } from '../support/run-sample.ts'
import { SlowLink } from '../support/slow-link.ts'
import { connected } from './basic-faults.ts'
import { type Fault, FaultyHost, watchForCrashes } from './host.ts'
import { BOTH_MAJORS } from './majors.ts'
import { REDIS_FAULTS } from './table.ts'

/** Where the store answers or fails. */
const STORE_TIMEOUT = 2_000
/** Where it is waited for. */
const SHORT_STORE_TIMEOUT = 300
/** Short enough for five calls to end before the adapter's `connectionTimeout` of two seconds. */
const AT_START_TIMEOUT = 250
const PASSWORD = 'correct'
const OUR_KEY = /mk1_/
const DELETION = /UNLINK/

const crashes = watchForCrashes()
afterAll(() => crashes.check())

describe.skipIf(missingProgram('redis-server')).each(BOTH_MAJORS)('Redis, %s', (_, make) => {
  let server: RedisServer
  let link: SlowLink
  let keyv: KeyvLike
  let host: FaultyHost

  beforeAll(async () => {
    server = await RedisServer.start({ appendOnly: true, settings: { requirepass: PASSWORD } })
  })
  afterAll(() => server.stop())
  beforeEach(async () => {
    link = await SlowLink.start(server.port)
    keyv = make(await openAdapter({ kind: 'redis', url: urlThrough() }))
    host = new FaultyHost(keyv, SHORT_STORE_TIMEOUT)
  })
  afterEach(async () => {
    await closeStore(keyv)
    await link.stop()
  })

  const urlThrough = (password = PASSWORD) => `redis://:${password}@127.0.0.1:${link.port}`
  const setPassword = async (from: string, to: string) => {
    const client = await createClient({ url: `redis://:${from}@127.0.0.1:${server.port}` }).connect()
    await client.configSet('requirepass', to)
    client.destroy()
  }
  const set = (name: string, value: string) => server.command('CONFIG', 'SET', name, value)

  const faults = {
    killed: { inject: () => server.kill(), heal: () => server.restart() },
    paused: { inject: () => server.pause(), heal: () => server.resume() },
    restarted: {
      async inject() {
        await server.restart()
        await connected(keyv)
      },
      heal() {},
    },
    replica: {
      inject: () => server.command('REPLICAOF', '127.0.0.1', '1'),
      heal: () => server.command('REPLICAOF', 'NO', 'ONE'),
    },
    noReplicas: {
      inject: () => set('min-replicas-to-write', '1'),
      heal: () => set('min-replicas-to-write', '0'),
    },
    full: { inject: () => set('maxmemory', '1'), heal: () => set('maxmemory', '0') },
    password: {
      async inject() {
        await setPassword(PASSWORD, 'another')
        link.cut()
        await link.mend()
      },
      heal: () => setPassword('another', PASSWORD),
    },
    reset: { inject: () => link.cut(), heal: () => link.mend() },
    midReply: {
      inject() {},
      async renew() {
        await connected(keyv)
        link.cutReply(OUR_KEY)
      },
      heal() {},
    },
    midDelete: {
      inject() {},
      async renew() {
        await connected(keyv)
        link.cutReply(DELETION)
      },
      heal: () => link.mend(),
    },
    slow: {
      inject() {
        link.delay = SHORT_STORE_TIMEOUT / 20
      },
      heal: () => link.mend(),
    },
    tooSlow: {
      inject() {
        link.delay = SHORT_STORE_TIMEOUT
      },
      heal: () => link.mend(),
    },
    halfClosed: {
      inject() {},
      async renew() {
        link.halfClose()
        await connected(keyv)
      },
      heal() {},
    },
  }

  test.each(Object.entries(faults))('%s', async (name, fault: Fault) => {
    const row = REDIS_FAULTS[name as keyof typeof faults]
    const timesOut = Object.values(row.outcomes).some((outcome) => outcome.endsWith('times out'))
    const tried = timesOut ? host : new FaultyHost(keyv, STORE_TIMEOUT)
    const later = async () => new FaultyHost(keyv, STORE_TIMEOUT, tried.entra)
    tried.check(row, await tried.suffer(fault, tried, later))
  })

  test('damaged', async () => {
    const patient = new FaultyHost(keyv, STORE_TIMEOUT)
    patient.check(REDIS_FAULTS.damaged, await patient.sufferDamage())
  })

  const faultsAtStart = {
    absentAtStart: { inject: () => server.kill(), heal: () => server.restart() },
    passwordAtStart: {
      inject: () => setPassword(PASSWORD, 'another'),
      heal: () => setPassword('another', PASSWORD),
    },
    pausedAtStart: { inject: () => server.pause(), heal: () => server.resume() },
  } satisfies { [Name in keyof typeof REDIS_FAULTS]?: Fault }

  test.each(Object.entries(faultsAtStart))('%s', async (name, fault: Fault) => {
    const started = make(await openAdapter({ kind: 'redis', url: urlThrough() }))
    const late = new FaultyHost(started, AT_START_TIMEOUT, host.entra)
    late.check(REDIS_FAULTS[name as keyof typeof faultsAtStart], await late.suffer(fault, host))
    await closeStore(started)
  })

  test('swallowed', async () => {
    const sample = sampleUnder('docs/stores.md', '### A connection that dies without a word')
    const { watchConnection } = await runSample<{ watchConnection(client: unknown): unknown }>(
      sample,
      { 'interval = 5_000': 'interval = 200', 'deadline = 3_000': 'deadline = 200' },
      ['watchConnection'],
    )
    const adapter = await openAdapter({ kind: 'redis', url: urlThrough() })
    const watched = make(adapter)
    const busy = new FaultyHost(watched, SHORT_STORE_TIMEOUT)
    const fault = {
      inject: () => link.swallow(),
      heal() {
        if (adapter instanceof KeyvRedis) void watchConnection(adapter.client)
      },
    }
    busy.check(REDIS_FAULTS.swallowed, await busy.suffer(fault))
    await closeStore(watched)
  })

  test('what is wrong with the first connection is told, although the client tries again and again', async () => {
    const started = make(await openAdapter({ kind: 'redis', url: urlThrough('wrong') }))
    const store = new KeyvStore(started, SHORT_STORE_TIMEOUT)
    for (const attempt of ['first', 'second']) {
      const error: unknown = await store.read([attempt]).catch((reason: unknown) => reason)
      expect(error).toMatchObject({
        operation: 'read',
        timedOut: true,
        cause: { message: expect.stringContaining('WRONGPASS') },
      })
    }
    await closeStore(started)
  })

  test('paused: 100 concurrent silent calls all time out by themselves, and the next ones work', async () => {
    const patient = new FaultyHost(keyv, 1_000)
    const sessions: HostSession[] = []
    for (let i = 0; i < 100; i++) sessions.push(await patient.signIn(patient.entra.user()))
    server.pause()
    const outcomes = await Promise.allSettled(sessions.map((session) => patient.silent(session)))
    server.resume()
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ reason: expect.any(StoreUnavailableError) })
      expect(outcome).toMatchObject({ reason: { operation: 'read', timedOut: true } })
    }
    for (const session of sessions) expect((await patient.silent(session)).fromCache).toBe(true)
  })

  test('paused: 20 concurrent refreshes of one account wait for the store and not for each other', async () => {
    const session = await host.signIn(host.entra.user())
    const scopes = Array.from({ length: 20 }, (_unused, index) => [`api://${index}/read`])
    const held = scopes.map(() => host.entra.hold())
    const refreshes = scopes.map((each) => host.msal.acquireTokenSilent(session, { scopes: each }))
    const ended = Promise.allSettled(refreshes)
    await Promise.all(held.map(({ arrived }) => arrived))
    server.pause()
    const start = performance.now()
    for (const { release } of held) release()
    const outcomes = await ended
    // One after the other they would take 20 times as long.
    expect(performance.now() - start).toBeLessThan(10 * SHORT_STORE_TIMEOUT)
    server.resume()
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { operation: 'read', timedOut: true } })
    }
  })
})
