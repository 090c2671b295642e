import { once } from 'node:events'
import { connect } from 'node:net'
import { inspect } from 'node:util'
import { Worker } from 'node:worker_threads'
import KeyvRedis from '@keyv/redis'
import Keyv from 'keyv'
import { Keyv as Keyv6 } from 'keyv6'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { KeyvCachePlugin, StoreUnavailableError } from '../../src/index.ts'
import type { KeyvLike } from '../../src/store/adapter.ts'
import type * as KeyvStoreModule from '../../src/store/keyv-store.ts'
import { KeyvStore } from '../../src/store/keyv-store.ts'
import { mutant } from '../support/mutant.ts'
import { closeStore } from '../support/open-store.ts'
import { missingProgram } from '../support/programs.ts'
import { RedisServer } from '../support/redis-server.ts'
import { isStored } from '../support/stored.ts'

const MAJORS: [string, (adapter: object) => KeyvLike][] = [
  ['Keyv 5', (adapter) => new Keyv({ store: adapter })],
  ['Keyv 6', (adapter) => new Keyv6({ store: adapter as never })],
]

type ErrorListener = (error: Error) => void

/** An adapter over a Map that fails on keys with "bad" in them, as adapters do: by throwing, or as @keyv/redis does. */
function adapter({ silent = false, batch = true, proven = true } = {}) {
  const map = new Map<string, unknown>()
  const listeners: ErrorListener[] = []
  const attempt = async <Result>(
    keys: string | string[],
    run: () => Result,
    otherwise: Result,
  ): Promise<Result> => {
    await Promise.resolve()
    if (![keys].flat().some((key) => key.includes('bad'))) return run()
    const error = Object.assign(new Error('the disk is on fire'), { code: 'EFIRE' })
    for (const listener of listeners) listener(error)
    if (!silent) throw error
    return otherwise
  }
  return {
    map,
    opts: {},
    on: (_event: 'error', listener: ErrorListener) => void listeners.push(listener),
    get: (key: string) => attempt(key, () => map.get(key), undefined),
    ...(batch && {
      getMany: (keys: string[]) =>
        attempt(
          keys,
          () => keys.map((key) => map.get(key)),
          keys.map(() => undefined),
        ),
    }),
    set: (key: string, value: unknown) => attempt(key, () => void map.set(key, value), undefined),
    delete: (key: string) => attempt(key, () => map.delete(key), false),
    clear: async () => {
      throw new Error('never to be called')
    },
    // As an adapter for SQL has it.
    ...(proven && { query() {}, opts: { dialect: 'sqlite' } }),
  }
}

describe.each(MAJORS)('%s', (_, make) => {
  describe.each([
    ['an adapter that throws', { silent: false, batch: true }],
    ['an adapter that only emits', { silent: true, batch: true }],
    ['an adapter without batch reads', { silent: false, batch: false }],
    ['an adapter that is not proven', { proven: false }],
    ['an adapter that is not proven and only emits', { silent: true, proven: false }],
  ])('over %s', (_name, kind) => {
    const store = () => new KeyvStore(make(adapter(kind)), 1000)

    test('what is there is read, and a miss is a miss', async () => {
      const there = store()
      await there.write('k', 'v', 1000)
      expect(await there.read(['k', 'nothing'])).toEqual(['v', undefined])
      await there.delete(['k'])
      await there.delete(['k'])
      expect(await there.read(['k'])).toEqual([undefined])
    })

    test.each([
      ['read', (failing: KeyvStore) => failing.read(['bad-key', 'k'])],
      ['write', (failing: KeyvStore) => failing.write('bad-key', 'v', 1000)],
      ['delete', (failing: KeyvStore) => failing.delete(['bad-key'])],
    ] as const)('a failed %s is an error that says so, never a miss (P7)', async (operation, call) => {
      const error: unknown = await call(store()).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(StoreUnavailableError)
      expect(error).toMatchObject({
        code: 'ERR_STORE_UNAVAILABLE',
        operation,
        timedOut: false,
        cause: { message: 'the disk is on fire', code: 'EFIRE' },
      })
    })

    test('of 200 concurrent calls, those fail that failed', async () => {
      const shared = store()
      await shared.write('good-key', 'v', 1000)
      const keys = Array.from({ length: 200 }, (_unused, index) => (index % 3 === 0 ? 'bad-key' : 'good-key'))
      const outcomes = await Promise.allSettled(keys.map((key) => shared.read([key])))
      expect(outcomes.map(({ status }) => status)).toEqual(
        keys.map((key) => (key === 'bad-key' ? 'rejected' : 'fulfilled')),
      )
    })
  })

  test('a call that never ends, ends in time', async () => {
    const never = () => new Promise<never>(() => {})
    const hanging = { ...adapter(), get: never, getMany: never, set: never, delete: never }
    const store = new KeyvStore(make(hanging), 20)
    const timedOut = { timedOut: true }
    await expect(store.read(['k'])).rejects.toMatchObject({ ...timedOut, operation: 'read' })
    await expect(store.write('k', 'v', 1)).rejects.toMatchObject({ ...timedOut, operation: 'write' })
    await expect(store.delete(['k'])).rejects.toMatchObject({ ...timedOut, operation: 'delete' })
  })

  test('what fails after its time is nobody’s unhandled rejection', async () => {
    const late = Promise.withResolvers<never>()
    const slow = {
      ...adapter(),
      get: () => late.promise,
      getMany: () => late.promise,
      set: () => late.promise,
    }
    for (const kind of [slow, { ...slow, query() {}, opts: { dialect: 'sqlite' } }]) {
      const store = new KeyvStore(make(kind), 10)
      await expect(store.read(['k'])).rejects.toMatchObject({ timedOut: true })
      await expect(store.write('k', 'v', 1000)).rejects.toMatchObject({ timedOut: true })
    }
    late.reject(new Error('late'))
    await new Promise(setImmediate)
  })

  test('a TTL below one millisecond is one, never "for ever" (P6)', async () => {
    const { map, ...rest } = adapter()
    const store = new KeyvStore(make(rest), 1000)
    for (const ttl of [-5, 0, 0.2]) {
      await store.write('k', 'v', ttl)
      const { expires } = JSON.parse(String(map.get('k') ?? map.get('keyv:k'))) as { expires?: number }
      expect(expires).toBeLessThanOrEqual(Date.now() + 1)
    }
  })

  test('keys that a Redis Cluster has moved are read one by one, which node-redis follows', async () => {
    const { map, ...rest } = adapter()
    const listeners: ErrorListener[] = []
    const getMany = async (keys: string[]) => {
      const error = new Error('MOVED 7 127.0.0.1:7001')
      for (const listener of listeners) listener(error)
      if (map.has('throws')) throw error
      return keys.map(() => undefined)
    }
    const on = (_event: 'error', listener: ErrorListener) => void listeners.push(listener)
    const store = new KeyvStore(make({ ...rest, on, getMany }), 1000)
    await store.write('k', 'v', 1000)
    expect(await store.read(['k', 'nothing'])).toEqual(['v', undefined])
    map.set('throws', true)
    expect(await store.read(['k', 'nothing'])).toEqual(['v', undefined])
  })

  test('the first connection is made once and waited for by all, and its failure says why', async () => {
    const { map: _, ...rest } = adapter()
    const listeners: ErrorListener[] = []
    let connections = 0
    const getClient = async () => {
      connections++
      await new Promise(setImmediate)
      if (connections > 1) return
      for (const listener of listeners) listener(new Error('WRONGPASS'))
      throw new Error('not connected')
    }
    const on = (_event: 'error', listener: ErrorListener) => void listeners.push(listener)
    const store = new KeyvStore(make({ ...rest, on, getClient }), 1000)
    const failed = await Promise.allSettled([store.read(['k']), store.read(['k'])])
    for (const outcome of failed) {
      expect(outcome).toMatchObject({ reason: { timedOut: false, cause: { message: 'WRONGPASS' } } })
    }
    expect(connections).toBe(1)
    expect(await Promise.all([store.read(['k']), store.read(['k'])])).toEqual([[undefined], [undefined]])
    expect(connections).toBe(2)
  })

  test('one listener, however many stores are made of it', () => {
    const keyv = make(adapter())
    let listeners = 0
    const on = keyv.on.bind(keyv)
    keyv.on = (event, listener) => {
      listeners++
      return on(event, listener)
    }
    for (let i = 0; i < 20; i++) new KeyvStore(keyv, 1000)
    expect(listeners).toBe(1)
  })
})

describe('P9: what a driver says is passed on without what it quotes', () => {
  const token = `eyJ${'a'.repeat(60)}.${'b'.repeat(60)}`
  test.each([
    ['a token', `SET failed near ${token}`],
    ['a record', `bad value {"value":"{\\"v\\":1,\\"k\\":\\"mk1\\"}…alice@contoso.example"}`],
    ['a cache', `row: {"home_account_id":"alice","secret":"short"}`],
  ])('%s', async (_, message) => {
    const cause = Object.assign(new Error(message), { command: { args: ['SET', token] }, code: 'ERR' })
    const error = new StoreUnavailableError('write', { timedOut: false, cause })
    const shown =
      inspect(error, { depth: 10, showHidden: true }) + JSON.stringify(error) + String(error.cause)
    for (const secret of [token, 'a'.repeat(40), 'alice', 'short']) expect(shown).not.toContain(secret)
    expect(error.cause).toMatchObject({ code: 'ERR' })
  })
})

describe.skipIf(missingProgram('redis-server'))('a real Redis, with the adapter as it comes', () => {
  let server: RedisServer
  let keyv: Keyv
  beforeAll(async () => {
    server = await RedisServer.start()
    keyv = new Keyv(new KeyvRedis(server.url))
  })
  afterAll(async () => {
    await closeStore(keyv)
    await server.stop()
  })

  test('answers, is paused, answers again, is killed', async () => {
    const store = new KeyvStore(keyv, 1_000)
    const hasty = new KeyvStore(keyv, 300)
    await store.write('k', 'v', 60_000)
    expect(await store.read(['k'])).toEqual(['v'])

    server.pause()
    await expect(hasty.read(['k'])).rejects.toMatchObject({ timedOut: true })
    server.resume()
    expect(await store.read(['k'])).toEqual(['v'])

    await server.kill()
    await expect(hasty.read(['k'])).rejects.toBeInstanceOf(StoreUnavailableError)
    await expect(hasty.write('k', 'v', 60_000)).rejects.toBeInstanceOf(StoreUnavailableError)
    await expect(hasty.delete(['k'])).rejects.toBeInstanceOf(StoreUnavailableError)
  })
})

test('the event loop is blocked longer than storeTimeout: an answer that has arrived counts', async () => {
  const echo = new Worker(
    `const { createServer } = require('node:net')
     const { parentPort } = require('node:worker_threads')
     const server = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1', () => {
       parentPort.postMessage(server.address().port)
     })`,
    { eval: true },
  )
  const [port] = (await once(echo, 'message')) as [number]
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const block = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
  class Remote extends Map<string, unknown> {
    override async get() {
      socket.write('sent at once')
      process.nextTick(block)
      await once(socket, 'data')
    }
  }
  const read = (Store: typeof KeyvStore) => new Store(new Keyv({ store: new Remote() }), 100).read(['k'])
  await expect(read(KeyvStore)).resolves.toEqual([undefined])
  const name = 'a timeout before the answer that is there'
  const broken = await mutant<typeof KeyvStoreModule>(name, 'KeyvStore')
  await expect(read(broken.KeyvStore)).rejects.toMatchObject({ timedOut: true })
  socket.destroy()
  await echo.terminate()
})

describe.each(MAJORS)('%s: a store whose keys have changed', (_, make) => {
  test('is a ConfigurationError at the next call, and at checkStore (B9)', async () => {
    const shared = Object.assign(adapter(), { namespace: undefined })
    const store = make(shared)
    const plugin = new KeyvCachePlugin({ store, clientId: 'client' })
    expect(await isStored(plugin, 'alice')).toBe(false)
    new Keyv({ store: shared, namespace: 'books' })
    const error = { code: 'ERR_CONFIGURATION', message: expect.stringContaining('namespace') }
    await expect(isStored(plugin, 'alice')).rejects.toMatchObject(error)
    await expect(plugin.evictAccount('alice')).rejects.toMatchObject(error)
    await expect(plugin.checkStore()).rejects.toMatchObject(error)
  })

  test('broken on purpose, an eviction finds nothing, and says that it is done', async () => {
    const { KeyvCachePlugin } = await mutant('changed keys go unnoticed')
    const shared = Object.assign(adapter(), { namespace: undefined })
    const plugin = new KeyvCachePlugin({ store: make(shared), clientId: 'client' })
    new Keyv({ store: shared, namespace: 'books' })
    expect(await plugin.evictAccount('alice')).toMatchObject({ existed: false })
  })
})
