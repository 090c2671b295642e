import { once } from 'node:events'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { KeyvLike } from '../../src/index.ts'
import { ConfigurationError, type KeyvCachePlugin, StoreUnavailableError } from '../../src/index.ts'
import { type IoredisConnection, RedisConnectionStore } from '../../src/redis/index.ts'
import { FaultyHost, watchForCrashes } from '../faults/host.ts'
import { OPERATIONS } from '../faults/table.ts'
import { CLIENT_ID } from '../support/entra.ts'
import { missingProgram } from '../support/programs.ts'
import { REDIS_CLIENTS, redisConnections } from '../support/redis-connections.ts'
import { RedisServer } from '../support/redis-server.ts'
import { runModule } from '../support/run-module.ts'
import { runSample, sampleModule, sampleUnder } from '../support/run-sample.ts'
import { keysOf } from '../support/stored.ts'

// Longer than the event loop stalls on a busy machine.
const STORE_TIMEOUT = 2_000
/** Where nothing will answer. */
const SHORT_STORE_TIMEOUT = 300
const DAY = 24 * 60 * 60 * 1000

async function startRedis(): Promise<RedisServer> {
  // What is acknowledged is in the operating system's hands, and survives a kill.
  const server = await RedisServer.start({ appendOnly: true, settings: { appendfsync: 'no' } })
  onTestFinished(() => server.stop())
  return server
}

describe.skipIf(missingProgram('redis-server')).each(REDIS_CLIENTS)('%s', (client) => {
  const crashes = watchForCrashes()
  afterEach(() => crashes.check())

  async function host(Store = RedisConnectionStore) {
    const server = await startRedis()
    const { connection, close } = await redisConnections[client](server.url)
    onTestFinished(close)
    const store = new Store(connection)
    return { server, store, host: new FaultyHost(store, STORE_TIMEOUT) }
  }

  test('a hit is one MGET, a sign-in one more and a SET for each record, an eviction a SET, an MGET and a DEL (P10)', async () => {
    const { server, host: app } = await host()
    const commands = async () => {
      const stats = String(await server.command('INFO', 'commandstats'))
      await server.command('CONFIG', 'RESETSTAT')
      const counted = [...stats.matchAll(/^cmdstat_(get|mget|set|del):calls=(\d+)/gm)]
      return Object.fromEntries(counted.map(([, name, calls]) => [name, Number(calls)]))
    }
    // Of a user whom the provider gives no session: there is no link to write.
    const user = app.entra.user({ sid: null })
    await commands()
    const session = await app.signIn(user)
    const signIn = await commands()
    expect(signIn.set).toBeGreaterThanOrEqual(1)
    expect(signIn.get).toBeUndefined()
    await app.silent(session)
    expect(await commands()).toEqual({ mget: 1 })
    await app.evict(session)
    expect(await commands()).toEqual({ set: 1, mget: 1, del: 1 })
  })

  test('every record expires (P6)', async () => {
    const { server, host: app } = await host()
    const user = app.entra.user()
    const session = await app.signIn(user)
    const { partition, generation } = keysOf(user.homeAccountId)
    const left = async (key: string) => Number(await server.command('PTTL', key))
    expect(await left(partition)).toBeGreaterThan(13 * DAY)
    await app.evict(session)
    expect(await left(generation)).toBeGreaterThan(89 * DAY)
    for (const key of (await server.command('KEYS', '*')) as string[])
      expect(await left(key)).toBeGreaterThan(0)
  })

  test('a server that is killed is an outage for every operation, and nobody is signed out (P7)', async () => {
    const { server, host: app } = await host()
    const { measured } = await app.suffer({ inject: () => server.kill(), heal: () => server.restart() })
    for (const operation of OPERATIONS) {
      expect(measured[operation]).toMatch(/(read|write) (fails|times out)$/)
    }
  })

  test('so is one that is paused', async () => {
    const { server, store, host: app } = await host()
    const hasty = new FaultyHost(store, SHORT_STORE_TIMEOUT, app.entra)
    const session = await app.signIn(app.entra.user())
    server.pause()
    const during = [hasty.silent(session), hasty.isSignedIn(session), hasty.signIn(app.entra.user())]
    for (const outcome of await Promise.allSettled(during)) {
      expect(outcome).toMatchObject({ reason: { code: 'ERR_STORE_UNAVAILABLE', timedOut: true } })
    }
    server.resume()
    await vi.waitUntil(() => app.isSignedIn(session).catch(() => undefined), { timeout: 10_000 })
    expect((await app.silent(session)).fromCache).toBe(true)
  })

  test('a write that was given up on does not come back with the connection', async () => {
    const { server, store } = await host()
    server.pause()
    const written = store.set('given up', 'on', DAY)
    const [outcome] = await Promise.all([written.then(String, () => 'failed'), server.restart()])
    expect(outcome).toBe('failed')
    await vi.waitUntil(
      () =>
        store.getRaw('anything').then(
          () => true,
          () => false,
        ),
      { timeout: 5_000 },
    )
    expect(await store.getRaw('given up')).toBeUndefined()
  })
})

describe.skipIf(missingProgram('redis-server'))('docs/stores.md', () => {
  test('what ioredis does without maxRetriesPerRequest: 0', async () => {
    const server = await startRedis()
    const redis = new Redis(server.url, { enableOfflineQueue: false, retryStrategy: () => 25 })
    onTestFinished(() => redis.disconnect())
    redis.on('error', () => {})
    await once(redis, 'ready')
    const store = new RedisConnectionStore(redis)
    server.pause()
    const written = store.set('given up', 'on', DAY)
    await server.restart()
    await written
    expect(await store.getRaw('given up')).toEqual({ value: 'on' })
  })

  test.each(['### ioredis', '### node-redis', '### Any other object'])('%s', async (heading) => {
    const server = await startRedis()
    const names = heading === '### ioredis' ? ['store', 'redis'] : ['store', 'client']
    const sample = await runSample<Record<string, KeyvLike & { disconnect?(): void; destroy?(): void }>>(
      sampleUnder('docs/stores.md', heading),
      { 'redis://127.0.0.1:6379': server.url },
      names,
    )
    onTestFinished(() => sample.redis?.disconnect?.() ?? sample.client?.destroy?.())
    const { store } = sample
    if (store === undefined) throw new Error('the sample makes no store')
    const app = new FaultyHost(store, STORE_TIMEOUT)
    const { measured } = await app.suffer({ inject: () => server.kill(), heal: () => server.restart() })
    for (const operation of OPERATIONS) expect(measured[operation]).toMatch(/(read|write) (fails|times out)$/)
    // The sample is a module of Node's own, and so is the library that it imports.
    const library = sampleModule("import { KeyvCachePlugin } from 'msal-keyv'", {}, ['KeyvCachePlugin'])
    const { KeyvCachePlugin: Plugin } = await runModule<{ KeyvCachePlugin: typeof KeyvCachePlugin }>(library)
    const { warnings } = await new Plugin({ store, clientId: CLIENT_ID }).checkStore()
    // An object of four methods does not say how its server is set.
    const expected = heading === '### Any other object' ? ['eviction-policy-unknown'] : []
    expect(warnings.map(({ code }) => code)).toEqual(expected)
  })
})

describe('an object that is no Redis', () => {
  const redis = (over: Partial<Record<keyof IoredisConnection, unknown>>) => {
    const records = new Map<string, string>()
    return {
      get: async (key: string) => records.get(key) ?? null,
      mget: async (keys: string[]) => keys.map((key) => records.get(key) ?? null),
      set: async (key: string, value: string) => {
        records.set(key, value)
        return 'OK'
      },
      del: async (key: string) => Number(records.delete(key)),
      ...over,
    } as IoredisConnection
  }

  test('works as long as it behaves like one', async () => {
    const app = new FaultyHost(new RedisConnectionStore(redis({})), STORE_TIMEOUT)
    const session = await app.signIn(app.entra.user())
    expect((await app.silent(session)).fromCache).toBe(true)
    await app.evict(session)
    expect(await app.isSignedIn(session)).toBe(false)
  })

  test.each<[string, Partial<Record<keyof IoredisConnection, unknown>>]>([
    ['bytes', { mget: async (keys: string[]) => keys.map(() => Buffer.from('x')) }],
    ['parsed JSON', { mget: async (keys: string[]) => keys.map(() => ({ v: 1 })) }],
    ['fewer values than keys', { mget: async () => [null] }],
    ['nothing at all', { mget: async () => undefined }],
  ])('is an outage when it answers with %s', async (_, over) => {
    const app = new FaultyHost(new RedisConnectionStore(redis(over)), STORE_TIMEOUT)
    await expect(app.isSignedIn({ homeAccountId: 'a', generation: 'b' })).rejects.toBeInstanceOf(
      StoreUnavailableError,
    )
  })

  test('has not written, nor deleted, when it does not say so', async () => {
    for (const over of [
      { set: async () => null },
      { set: async () => 'QUEUED' },
      { del: async () => 'QUEUED' },
    ]) {
      const app = new FaultyHost(new RedisConnectionStore(redis(over)), STORE_TIMEOUT)
      await expect(app.evict({ homeAccountId: 'a', generation: 'b' })).rejects.toMatchObject({
        code: 'ERR_EVICTION',
      })
    }
  })

  test.each(['get', 'mget', 'set', 'del'])('is refused without %s', (method) => {
    const make = () => new RedisConnectionStore(redis({ [method]: undefined }))
    expect(make).toThrow(ConfigurationError)
    expect(make).toThrow(new RegExp(`has no method ${method}:`))
  })

  test('is refused when it is none', () => {
    for (const wrong of [undefined, null, 'redis://127.0.0.1', {}]) {
      expect(() => new RedisConnectionStore(wrong as never)).toThrow(ConfigurationError)
    }
  })
})
