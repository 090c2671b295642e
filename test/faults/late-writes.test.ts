import { setTimeout as pass } from 'node:timers/promises'
import KeyvRedis, { createClient } from '@keyv/redis'
import Keyv from 'keyv'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { HostSession, KeyvLike } from '../../src/index.ts'
import type { User } from '../support/entra.ts'
import { observe } from '../support/observed-store.ts'
import { closeStore, openStore } from '../support/open-store.ts'
import { missingProgram } from '../support/programs.ts'
import { RedisServer } from '../support/redis-server.ts'
import { SlowLink } from '../support/slow-link.ts'
import { keysOf, storedText } from '../support/stored.ts'
import { FaultyHost, watchForCrashes } from './host.ts'

const STORE_TIMEOUT = 500
/** The command, alone or in a transaction. */
const WRITE = /\r\nSET\r\n/

const crashes = watchForCrashes()
afterAll(() => crashes.check())

describe.skipIf(missingProgram('redis-server'))('writes that were given up on, and lost ones', () => {
  let server: RedisServer
  let link: SlowLink
  let direct: KeyvLike
  /** Behind the link. */
  let one: FaultyHost
  /** On the same server, without it. */
  let two: FaultyHost
  let user: User
  let session: HostSession
  let opened: object[]

  beforeAll(async () => {
    server = await RedisServer.start({ settings: { 'repl-diskless-sync-delay': '0' } })
  })
  afterAll(() => server.stop())
  beforeEach(async () => {
    link = await SlowLink.start(server.port)
    const keyv = await openStore({ kind: 'redis', url: throughLink() })
    direct = await openStore({ kind: 'redis', url: server.url })
    opened = [keyv, direct]
    one = new FaultyHost(keyv, STORE_TIMEOUT)
    two = new FaultyHost(direct, 2_000, one.entra)
    user = one.entra.user()
    session = await one.signIn(user)
  })
  afterEach(async () => {
    await Promise.all(opened.map(closeStore))
    await link.stop()
  })

  const throughLink = () => `redis://127.0.0.1:${link.port}`

  /** A refresh in the first process that has been given up on, while its write is still on its way. */
  async function beginLateWrite(): Promise<{ arrive(): Promise<void> }> {
    const refresh = await one.beginRefresh(session)
    const write = link.hold(WRITE)
    refresh.held.release()
    await write.arrived
    await expect(refresh.done).rejects.toMatchObject({ operation: 'write', timedOut: true })
    return {
      async arrive() {
        write.release()
        // On the same connection, and so behind it.
        await one.isSignedIn(session)
      },
    }
  }

  /** Commands that were sent while the client was offline, and those that wait for them, in the queue of node-redis. */
  async function withOfflineQueue(): Promise<{ host: FaultyHost; write(): Promise<void> }> {
    const reconnectStrategy = () => 20
    const client = createClient({ url: throughLink(), socket: { reconnectStrategy } })
    const keyv = new Keyv(new KeyvRedis(client), { namespace: '', useKeyPrefix: false })
    opened.push(keyv)
    const observed = observe(keyv)
    const host = new FaultyHost(observed.keyv, STORE_TIMEOUT, one.entra)
    return {
      host,
      async write() {
        const refresh = await host.beginRefresh(session)
        observed.before('write', async () => {
          link.cut()
          while (client.isReady) await pass(5)
        })
        refresh.held.release()
        await expect(refresh.done).rejects.toMatchObject({ operation: 'write', timedOut: true })
      },
    }
  }

  const tokensLeft = async () => one.entra.tokensIn(await storedText(direct, user.homeAccountId))

  async function expectSignedOut(...hosts: FaultyHost[]): Promise<void> {
    for (const host of [...hosts, two]) {
      expect(await host.isSignedIn(session)).toBe(false)
      await expect(host.silent(session)).rejects.toMatchObject({ errorCode: 'no_tokens_found' })
    }
  }

  describe('a write that was given up on', () => {
    test('arrives after an eviction, and the account stays evicted (P3)', async () => {
      const late = await beginLateWrite()
      await two.evict(session)
      expect(await tokensLeft()).toEqual([])
      await late.arrive()
      expect(await tokensLeft()).not.toEqual([])
      await expectSignedOut(one)
      const again = await one.signIn(user)
      expect((await two.silent(again)).fromCache).toBe(true)
    })

    test('arrives after a new sign-in: it may cost that its record, and never brings back the old one', async () => {
      const late = await beginLateWrite()
      await two.evict(session)
      const again = await two.signIn(user)
      await late.arrive()
      await expectSignedOut(one)
      await expect(two.silent(again)).rejects.toMatchObject({ errorCode: 'no_tokens_found' })
      expect((await one.silent(await two.signIn(user))).fromCache).toBe(true)
    })

    test('arrives while the server is paused, together with an eviction that times out', async () => {
      const late = await beginLateWrite()
      server.pause()
      const eviction = one.evict(session)
      await expect(eviction).rejects.toMatchObject({ code: 'ERR_EVICTION', fenced: false })
      server.resume()
      await late.arrive()
      await one.evict(session)
      await expectSignedOut(one)
    })

    test('is an eviction: the account is signed in until it arrives, and repeating it is safe (P4)', async () => {
      const write = link.hold(WRITE)
      const eviction = one.evict(session)
      await expect(eviction).rejects.toMatchObject({
        code: 'ERR_EVICTION',
        fenced: false,
        cause: { operation: 'write', timedOut: true },
      })
      expect(await two.isSignedIn(session)).toBe(true)
      write.release()
      await one.isSignedIn(session)
      await expectSignedOut(one)
      await one.evict(session)
      await expectSignedOut(one)
    })

    test('waits in the offline queue of node-redis, and comes back with the connection: still evicted', async () => {
      const queued = await withOfflineQueue()
      await queued.write()
      await two.evict(session)
      await link.mend()
      await vi.waitUntil(async () => (await tokensLeft()).length > 0, { timeout: 5_000, interval: 10 })
      await expectSignedOut(queued.host)
    })
  })

  describe('what a store that loses acknowledged writes costs', () => {
    test('restarted without its data: everybody signs in once more', async () => {
      await server.restart()
      await vi.waitUntil(
        () =>
          two.isSignedIn(session).then(
            () => true,
            () => false,
          ),
        { timeout: 5_000, interval: 10 },
      )
      await expect(two.silent(session)).rejects.toMatchObject({ errorCode: 'no_tokens_found' })
      expect((await two.silent(await two.signIn(user))).fromCache).toBe(true)
    })

    test('restarted without its data, with the offline queue: an eviction is undone', async () => {
      const queued = await withOfflineQueue()
      await queued.write()
      await two.evict(session)
      await server.restart()
      await link.mend()
      await vi.waitUntil(() => two.isSignedIn(session).catch(() => false), { timeout: 5_000, interval: 10 })
    })

    test('allkeys-lru drops the generation record: what was in flight at the eviction counts again', async () => {
      const late = await beginLateWrite()
      await two.evict(session)
      const { generation } = keysOf(user.homeAccountId)
      await server.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
      const used = Number(/used_memory:(\d+)/.exec(String(await server.command('INFO', 'memory')))?.[1])
      await server.command('CONFIG', 'SET', 'maxmemory', `${used}`)
      const isKept = async () => (await server.command('EXISTS', generation)) === 1
      for (let i = 0; i < 500 && (await isKept()); i++) {
        await server.command('SET', `something else ${i}`, 'x'.repeat(50_000))
      }
      expect(await isKept()).toBe(false)
      await server.command('CONFIG', 'SET', 'maxmemory', '0')
      await late.arrive()
      expect(await two.isSignedIn(session)).toBe(true)
    })

    test('a failover to a replica that has not got the eviction: it is undone, and a new one holds', async () => {
      const replica = await RedisServer.start()
      const replication = await SlowLink.start(server.port)
      try {
        await replica.command('REPLICAOF', '127.0.0.1', `${replication.port}`)
        await vi.waitUntil(async () => (await server.command('WAIT', '1', '100')) === 1, { timeout: 10_000 })
        replication.swallow()
        await one.evict(session)
        await expectSignedOut(one)

        await server.kill()
        await replica.command('REPLICAOF', 'NO', 'ONE')
        link.target = replica.port
        await vi.waitUntil(() => one.isSignedIn(session).catch(() => false), { timeout: 5_000, interval: 10 })
        await one.evict(session)
        expect(await one.isSignedIn(session)).toBe(false)
      } finally {
        await replication.stop()
        await replica.stop()
        await server.restart()
      }
    })
  })
})
