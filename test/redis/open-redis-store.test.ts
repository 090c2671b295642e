import { setTimeout as pass } from 'node:timers/promises'
import { afterAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { ConfigurationError, KeyvCachePlugin, type KeyvLike } from '../../src/index.ts'
import { openRedisStore, type RedisStore } from '../../src/redis/index.ts'
import type { RedisStoreOptions } from '../../src/redis/options.ts'
import { FaultyHost, watchForCrashes } from '../faults/host.ts'
import { selfSigned } from '../support/certificate.ts'
import { mutant } from '../support/mutant.ts'
import type { MutantName } from '../support/mutants.ts'
import { makeFolder, missingProgram, removeFolder } from '../support/programs.ts'
import { RedisCluster } from '../support/redis-cluster.ts'
import { MASTER_NAME, RedisSentinels } from '../support/redis-sentinel.ts'
import { RedisServer } from '../support/redis-server.ts'
import { SlowLink } from '../support/slow-link.ts'

const WAIT = { timeout: 20_000, interval: 20 }
/** Two questions of the watch, and what a busy machine takes. */
const SECONDS = { timeout: 8_000, interval: 20 }
const MINUTE = 60_000
/** Longer than a busy machine takes to import `@keyv/redis`. */
const STORE_TIMEOUT = 20_000

const crashes = watchForCrashes()
afterAll(() => crashes.check())

type Open = typeof openRedisStore

function opened(options: string | RedisStoreOptions, open: Open = openRedisStore): RedisStore {
  const store = open(options)
  onTestFinished(() => store.disconnect())
  return store
}

async function broken(name: MutantName): Promise<Open> {
  return (await mutant<{ openRedisStore: Open }>(name, 'openRedisStore')).openRedisStore
}

async function startRedis(settings: Readonly<Record<string, string>> = {}): Promise<RedisServer> {
  const server = await RedisServer.start({ settings })
  onTestFinished(() => server.stop())
  return server
}

const info = async (server: RedisServer, section: string) => String(await server.command('INFO', section))
const read = (store: KeyvLike) => store.getMany(['key'])
const works = (call: Promise<unknown>) =>
  call.then(
    () => true,
    () => false,
  )

/** Signs in, reads, refreshes and evicts over a store. */
async function use(store: KeyvLike): Promise<void> {
  const host = new FaultyHost(store, STORE_TIMEOUT)
  const session = await host.signIn(host.entra.user())
  expect((await host.silent(session)).fromCache).toBe(true)
  expect((await host.silent(session, { forceRefresh: true })).fromCache).toBe(false)
  await host.evict(session)
  expect(await host.isSignedIn(session)).toBe(false)
  const { supported, warnings } = await host.msal.plugin.checkStore()
  expect({ supported, warnings }).toEqual({ supported: true, warnings: [] })
}

describe('what is wrong with its options is said at once, and nothing of them is quoted', () => {
  const url = 'redis://127.0.0.1:1'
  test.each([
    ['no URL', 'user:secret@host', /^url must be like redis:/],
    ['another protocol', 'http://user:secret@host', /^url must be like redis:/],
    ['no host', 'redis:///secret', /^url must be like redis:/],
    ['none', { url: [] }, /^url must name at least one/],
    ['several servers', { url: [url, url] }, /^url must name one server/],
    ['both', { url, cluster: true, sentinelMaster: 'secret' }, /exclude each other/],
    ['no name', { url, sentinelMaster: '' }, /^sentinelMaster must be/],
    ['a misspelt option', { url, servername: 'secret' }, /^servername is not an option/],
    ['no password', { url, credentials: { username: 'secret' } }, /^credentials must be/],
    ['a cluster by name', { url, cluster: 'secret' }, /^cluster must be/],
    ['TLS by word', { url, tls: 'secret' }, /^tls must be/],
    ['nothing', null, /^openRedisStore takes/],
  ])('%s', (_, options, message) => {
    const open = () => openRedisStore(options as never)
    expect(open).toThrow(ConfigurationError)
    expect(open).toThrow(message)
    expect(open).not.toThrow(/secret/)
  })
})

describe.skipIf(missingProgram('redis-server'))('one server', () => {
  test('works, and checkStore sees what it is', async () => {
    const server = await startRedis()
    const store = opened(server.url)
    await use(store)
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'volatile-lru')
    const { warnings } = await new KeyvCachePlugin({
      store,
      clientId: 'client',
      storeTimeout: STORE_TIMEOUT,
    }).checkStore()
    expect(warnings.map(({ code }) => code)).toEqual(['eviction-policy'])
  })

  test('Valkey is the same by another name', async () => {
    const server = await startRedis()
    await use(opened(server.url.replace('redis:', 'valkey:')))
  })

  test('nothing is connected before the first call, and 50 first calls connect once', async () => {
    const server = await startRedis()
    const received = async () => {
      const [, count] = /total_connections_received:(\d+)/.exec(await info(server, 'stats')) ?? []
      return Number(count)
    }
    const before = await received()
    const store = opened(server.url)
    await pass(50)
    expect(await received()).toBe(before + 1)
    await Promise.all(Array.from({ length: 50 }, () => read(store)))
    expect(await received()).toBe(before + 3)
  })

  test('user, password and database of the URL', async () => {
    const server = await startRedis()
    await server.command('ACL', 'SETUSER', 'ada', 'on', '>p@ss/word', '~*', '+@all')
    const store = opened(server.url.replace('127', 'ada:p%40ss%2Fword@127').concat('/3'))
    await store.set('key', 'value', MINUTE)
    expect(await info(server, 'keyspace')).toContain('db3:keys=1')
  })

  test('TLS, with a certificate for another name than the host', async () => {
    const folder = await makeFolder()
    onTestFinished(() => removeFolder(folder))
    const { path, cert: ca } = await selfSigned(folder, 'DNS:redis.example')
    const files = { 'tls-key-file': `${folder}/key.pem`, 'tls-cert-file': path, 'tls-auth-clients': 'no' }
    const server = await startRedis({ ...files, 'tls-port': '0' })
    const link = await SlowLink.start(server.port)
    onTestFinished(() => link.stop())
    const port = link.port
    await server.command('CONFIG', 'SET', 'port', '0', 'tls-port', `${server.port}`)
    const url = `rediss://127.0.0.1:${port}`
    await use(opened({ url, tls: { ca, servername: 'redis.example' } }))
    await expect(read(opened({ url, tls: { ca } }))).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    })
  })

  test('calls while it is down fail at once, and the first call after that works', async () => {
    const server = await startRedis()
    const store = opened(server.url)
    await store.set('key', 'value', MINUTE)
    await server.kill()
    const start = performance.now()
    for (let i = 0; i < 20; i++) await expect(read(store)).rejects.toThrow(/ECONNREFUSED|closed/)
    expect(performance.now() - start).toBeLessThan(1_000)
    await server.restart()
    // Longer than the longest pause between two attempts.
    await pass(1_100)
    expect(await read(store)).toEqual([undefined])
  })

  test('a call that failed is not sent later', async () => {
    const server = await startRedis()
    const link = await SlowLink.start(server.port)
    onTestFinished(() => link.stop())
    const store = opened(`redis://127.0.0.1:${link.port}`)
    await read(store)
    link.cut()
    expect(await store.set('key', 'late', MINUTE)).toBe(false)
    await link.mend()
    await vi.waitUntil(() => works(read(store)), WAIT)
    expect(await read(store)).toEqual([undefined])
  })

  test('a connection that died without a word is replaced within seconds', async () => {
    const server = await startRedis()
    const link = await SlowLink.start(server.port)
    onTestFinished(() => link.stop())
    const store = opened(`redis://127.0.0.1:${link.port}`)
    const open = await broken('Redis: a dead connection kept')
    const patient = open(`redis://127.0.0.1:${link.port}`)
    await Promise.all([read(store), read(patient)])
    link.swallow()
    const [ended, waits] = [read(store).catch(() => 'failed'), read(patient).catch(() => 'failed')]
    expect(await Promise.race([ended, waits.then(() => 'not waited for')])).toBe('failed')
    expect(await read(store)).toEqual([undefined])
    expect(await Promise.race([waits, pass(500, 'waits')])).toBe('waits')
  })

  describe('a replica promoted, with open sockets to the server that was the master', () => {
    async function demote() {
      const [one, two] = [await startRedis(), await startRedis({ 'repl-diskless-sync-delay': '0' })]
      await two.command('REPLICAOF', '127.0.0.1', `${one.port}`)
      await vi.waitUntil(async () => (await info(two, 'replication')).includes('master_link_status:up'), WAIT)
      const link = await SlowLink.start(one.port)
      onTestFinished(() => link.stop())
      const url = `redis://127.0.0.1:${link.port}`
      /** As a managed service does it: the name leads to the new master, and old connections stay. */
      const promote = async () => {
        await two.command('REPLICAOF', 'NO', 'ONE')
        await one.command('REPLICAOF', '127.0.0.1', '1')
        link.target = two.port
      }
      return { url, promote, two }
    }

    test('one write is refused, and the next goes to the new master', async () => {
      const { url, promote, two } = await demote()
      const store = opened(url)
      await store.set('key', 'before', MINUTE)
      await promote()
      expect(await store.set('key', 'refused', MINUTE)).toBe(false)
      expect(await store.set('key', 'after', MINUTE)).toBe(true)
      expect(await two.command('GET', 'key')).toContain('after')
    })

    test('reads leave it too, within seconds: it may not have heard of an eviction', async () => {
      const { url, promote, two } = await demote()
      const store = opened(url)
      const careless = opened(url, await broken('Redis: a demoted server not left'))
      await store.set('key', 'before', MINUTE)
      await Promise.all([read(store), read(careless)])
      await promote()
      await opened(two.url).set('key', 'after', MINUTE)
      await vi.waitUntil(async () => String(await read(store).catch(() => '')) === 'after', SECONDS)
      expect(await read(careless)).toEqual(['before'])
    })

    test('red without it', async () => {
      const { url, promote } = await demote()
      const store = opened(url, await broken('Redis: READONLY not left'))
      await store.set('key', 'before', MINUTE)
      await promote()
      expect(await store.set('key', 'refused', MINUTE)).toBe(false)
      expect(await store.set('key', 'after', MINUTE)).toBe(false)
    })

    test('a server that is a replica is not connected to', async () => {
      const { url, two } = await demote()
      expect(await read(opened(url))).toEqual([undefined])
      await expect(read(opened(two.url))).rejects.toThrow('the server is a replica')
      const open = await broken('Redis: a replica taken for a master')
      expect(await read(opened(two.url, open))).toEqual([undefined])
    })
  })

  describe('credentials that end', () => {
    async function tokens(lifetime: number) {
      const server = await startRedis()
      let issued = 0
      const credentials = async () => {
        await server.command('ACL', 'SETUSER', 'app', 'on', 'resetpass', `>token-${++issued}`, '~*', '+@all')
        return { username: 'app', password: `token-${issued}`, expiresOnTimestamp: Date.now() + lifetime }
      }
      /** As a managed service does it when the token has ended. */
      const end = () => server.command('CLIENT', 'KILL', 'USER', 'app')
      return { server, credentials, end, issued: () => issued }
    }

    test('others are asked for before that, and no call fails', async () => {
      const { server, credentials, issued } = await tokens(2_500)
      const store = opened({ url: server.url, credentials })
      let calls = 0
      for (; issued() < 3; calls++) {
        await read(store)
        await pass(20)
      }
      expect(calls).toBeGreaterThan(20)
    })

    test('a server that ends them sooner is connected to with others at the next call', async () => {
      const { server, credentials, end, issued } = await tokens(MINUTE)
      const store = opened({ url: server.url, credentials })
      await read(store)
      await end()
      await vi.waitUntil(() => works(read(store)), WAIT)
      expect(issued()).toBe(2)
    })

    test('red without asking again', async () => {
      const { server, credentials, issued } = await tokens(2_500)
      const store = opened(
        { url: server.url, credentials },
        await broken('Redis: credentials outlive their end'),
      )
      await read(store)
      await pass(3_000)
      await read(store)
      expect(issued()).toBe(1)
    })

    test('a provider that fails is why the call fails', async () => {
      const { server } = await tokens(MINUTE)
      const credentials = () => Promise.reject(new Error('the vault is closed'))
      await expect(read(opened({ url: server.url, credentials }))).rejects.toThrow('the vault is closed')
    })
  })

  test('disconnect lets calls in flight end, and none begin', async () => {
    const server = await startRedis()
    const link = await SlowLink.start(server.port)
    onTestFinished(() => link.stop())
    const store = openRedisStore(`redis://127.0.0.1:${link.port}`)
    await store.set('key', 'value', MINUTE)
    const held = link.hold(/MGET/)
    const inFlight = read(store)
    await held.arrived
    const closed = store[Symbol.asyncDispose]()
    await expect(read(store)).rejects.toThrow('the store was disconnected')
    held.release()
    expect(await inFlight).toEqual(['value'])
    await closed
    expect(
      String(await server.command('CLIENT', 'LIST'))
        .trim()
        .split('\n'),
    ).toHaveLength(1)
  })
})

describe.skipIf(missingProgram('redis-server'))('Sentinels', () => {
  test('name the master, and after a failover the new one', async () => {
    const redis = await RedisSentinels.start()
    onTestFinished(() => redis.stop())
    const url = redis.sentinels.map(({ port }) => `redis://127.0.0.1:${port}`)
    const store = opened({ url, sentinelMaster: MASTER_NAME })
    await use(store)
    await store.set('key', 'before', MINUTE)
    await redis.replicated()
    const before = await redis.master()
    await before.kill()
    await vi.waitUntil(async () => (await redis.master()) !== before, WAIT)
    await vi.waitUntil(() => works(read(store)), SECONDS)
    expect(await read(store)).toEqual(['before'])
    await store.set('key', 'after', MINUTE)
    expect(await (await redis.master()).command('GET', 'key')).toContain('after')
    // One that is down keeps nobody from the others.
    const withOneDown = [`redis://127.0.0.1:${before.port}`, ...url]
    expect(await read(opened({ url: withOneDown, sentinelMaster: MASTER_NAME }))).toEqual(['after'])
    await expect(read(opened({ url, sentinelMaster: 'another' }))).rejects.toThrow('no master by the name')
  })
})

describe.skipIf(missingProgram('redis-server'))('a cluster', () => {
  test('over TLS, whose nodes announce IP addresses', async () => {
    const folder = await makeFolder()
    onTestFinished(() => removeFolder(folder))
    const { cert: ca, path } = await selfSigned(folder, 'DNS:localhost')
    const cluster = await RedisCluster.start({ tls: { key: `${folder}/key.pem`, cert: path } })
    onTestFinished(() => cluster.stop())
    const url = cluster.secureUrls.map((each) => each.replace('127.0.0.1', 'localhost'))
    await use(opened({ url, cluster: true, tls: { ca } }))
    await use(opened({ url, cluster: true, tls: { ca, servername: 'localhost' } }))
    const open = await broken('Redis: cluster without servername')
    expect(await works(read(opened({ url, cluster: true, tls: { ca } }, open)))).toBe(false)
  })
})
