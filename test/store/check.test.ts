import { setImmediate as turn } from 'node:timers/promises'
import KeyvMemcache from '@keyv/memcache'
import KeyvMysql from '@keyv/mysql'
import KeyvRedis from '@keyv/redis'
import KeyvValkey from '@keyv/valkey'
import Keyv from 'keyv'
import { Keyv as Keyv6 } from 'keyv6'
import { describe, expect, test } from 'vitest'
import { KeyvCachePlugin, type KeyvLike, StoreUnavailableError } from '../../src/index.ts'
import { RedisConnectionStore } from '../../src/redis/connection-store.ts'
import type { redisOf } from '../../src/store/adapter.ts'
import { AwkwardAdapter } from '../support/awkward-adapter.ts'
import { mutant } from '../support/mutant.ts'
import { closeStore, openSampled, openStore } from '../support/open-store.ts'
import { MARIADB, MEMCACHED, OtherServer } from '../support/other-servers.ts'
import { missingProgram } from '../support/programs.ts'
import { REDIS_CLIENTS, redisConnections } from '../support/redis-connections.ts'
import { RedisServer } from '../support/redis-server.ts'

const check = (store: KeyvLike, storeTimeout = 1000) =>
  new KeyvCachePlugin({ store, clientId: 'client', storeTimeout }).checkStore()
const codes = async (store: KeyvLike) => (await check(store)).warnings.map(({ code }) => code)

describe('checkStore', () => {
  test('finds nothing wrong with a plain store, and leaves nothing in it', async () => {
    const records = new Map<string, unknown>()
    const { milliseconds, supported, warnings } = await check(
      new Keyv(records, { namespace: '', useKeyPrefix: false }),
    )
    expect({ supported, warnings }).toEqual({ supported: true, warnings: [] })
    expect(milliseconds).toBeGreaterThan(0)
    expect(records.size).toBe(0)
    expect(await codes(new Keyv6())).toEqual([])
  })

  test('sees the prefix that Keyv 5 puts before the keys', async () => {
    expect(await codes(new Keyv())).toEqual(['key-prefix'])
  })

  test('sees a store that keeps what has expired', async () => {
    const keyv = new Keyv(new Map(), { namespace: '', useKeyPrefix: false })
    const write = keyv.set.bind(keyv)
    keyv.set = (key: string, value: unknown): Promise<boolean> => write(key, value)
    expect(await codes(keyv)).toEqual(['no-ttl'])
  })

  test('says of an adapter that is not proven what that costs, and leaves only the canary', async () => {
    const rows = new Map<string, unknown>()
    const keyv = new Keyv({ store: new AwkwardAdapter(rows), namespace: '', useKeyPrefix: false })
    const { supported, warnings } = await check(keyv)
    expect(supported).toBe(true)
    expect(warnings.map(({ code }) => code)).toEqual(['unproven-adapter'])
    expect([...rows.keys()]).toEqual(['mk1_canary'])
  })

  test('does not support a store that drops what is to live for long', async () => {
    const keyv = new Keyv({ namespace: '', useKeyPrefix: false })
    const write = keyv.set.bind(keyv)
    const month = 30 * 24 * 60 * 60 * 1000
    keyv.set = async (key: string, value: unknown, ttl?: number) =>
      (ttl ?? 0) > month || write(key, value, ttl)
    const { supported, warnings } = await check(keyv)
    expect(supported).toBe(false)
    expect(warnings.map(({ code }) => code)).toEqual(['short-lifetime'])
  })

  // Of a timer, and of a column.
  test.each([
    ['a timer of 32 bits', (ttl: number) => (ttl > 2 ** 31 - 1 ? 1 : ttl)],
    ['32 bits without a sign', (ttl: number) => ttl % 2 ** 32],
  ])('does not support a store whose expiry overflows: %s (E8)', async (_, lifetimeOf) => {
    const keyv = (): KeyvLike => {
      const timed = new Keyv({ namespace: '', useKeyPrefix: false })
      const write = timed.set.bind(timed)
      timed.set = (key: string, value: unknown, ttl?: number) => write(key, value, lifetimeOf(ttl ?? 0))
      timed.setMany = async (entries) =>
        Promise.all(entries.map(({ key, value, ttl }) => timed.set(key, value, ttl)))
      return timed
    }
    expect(await codes(keyv())).toEqual(['short-lifetime'])
    const broken = await mutant('lifetimes looked at too early')
    const hurried = new broken.KeyvCachePlugin({ store: keyv(), clientId: 'client' })
    expect((await hurried.checkStore()).supported).toBe(true)
  })

  test('does not support a store in which a read that finds nothing deletes', async () => {
    const keyv = new Keyv({ namespace: '', useKeyPrefix: false })
    const read = keyv.getMany.bind(keyv)
    keyv.getMany = (async (keys: string[]) => {
      const values = await read(keys)
      await turn()
      await Promise.all(keys.map((key, index) => values[index] === undefined && keyv.delete(key)))
      return values
    }) as typeof keyv.getMany
    const { supported, warnings } = await check(keyv)
    expect(supported).toBe(false)
    expect(warnings.map(({ code }) => code)).toEqual(['deletes-on-miss'])
  })

  test.each([
    ['refuses', (value: string) => value.length < 65_536 && value],
    ['cuts', (value: string) => value.slice(0, 65_535)],
  ] as const)('sees a store that %s a large record', async (_, kept) => {
    const keyv = new Keyv({ namespace: '', useKeyPrefix: false })
    const write = keyv.set.bind(keyv)
    keyv.set = async (key: string, value: unknown, ttl?: number) => {
      const stored = kept(String(value))
      return stored !== false && write(key, stored, ttl)
    }
    expect(await codes(keyv)).toEqual(['small-records'])
  })

  test('is no judgement on the store when it fails in the midst', async () => {
    const keyv = new Keyv({ namespace: '', useKeyPrefix: false })
    const write = keyv.set.bind(keyv)
    keyv.set = async (key: string, value: unknown, ttl?: number) =>
      String(value).length > 1_000 ? new Promise(() => {}) : write(key, value, ttl)
    await expect(check(keyv, 20)).rejects.toMatchObject({ operation: 'write', timedOut: true })
  })

  test.each([
    ['loses what is written', 'set', async (): Promise<boolean> => true],
    ['keeps what is deleted', 'delete', async (): Promise<boolean> => true],
  ] as const)('refuses a store that %s', async (_, method, broken) => {
    const keyv = new Keyv()
    Object.assign(keyv, { [method]: broken })
    await expect(check(keyv)).rejects.toBeInstanceOf(StoreUnavailableError)
  })
})

describe.skipIf(missingProgram('redis-server'))('checkStore on a real Redis', () => {
  test('sees what the adapter and the server are set to', async () => {
    const server = await RedisServer.start()
    const asItComes = new Keyv(new KeyvRedis(server.url), { useKeyPrefix: false })
    const recommended = await openStore({ kind: 'redis', url: server.url })
    expect(await codes(asItComes)).toEqual(expect.arrayContaining(['silent-failures', 'offline-queue']))
    const bridged = new Keyv6({ store: new KeyvRedis(server.url) as never })
    expect(await codes(bridged)).toEqual(expect.arrayContaining(['silent-failures', 'offline-queue']))
    expect(await codes(recommended)).toEqual([])
    const valkey = new Keyv(new KeyvValkey(server.url), { namespace: '', useKeyPrefix: false })
    expect(await codes(valkey)).toEqual(['offline-queue'])
    const recommendedValkey = await openStore({ kind: 'valkey', port: server.port })
    expect(await codes(recommendedValkey)).toEqual([])

    const { client } = recommended.store as {
      client: { configSet(name: string, value: string): Promise<unknown> }
    }
    await client.configSet('maxmemory-policy', 'allkeys-lru')
    expect(await codes(recommended)).toEqual(['eviction-policy'])
    expect(await codes(recommendedValkey)).toEqual(['eviction-policy'])

    // R5: behind a connection of the host's own.
    for (const client of REDIS_CLIENTS) {
      const { connection, close } = await redisConnections[client](server.url)
      const own = new RedisConnectionStore(connection)
      expect(await codes(own)).toContain('eviction-policy')
      const blind = await mutant<{ redisOf: typeof redisOf }>(
        'server behind a connection not seen',
        'redisOf',
      )
      expect(blind.redisOf(own)).toBeUndefined()
      await close()
    }

    // E17: as managed services have it.
    await server.command('ACL', 'SETUSER', 'default', '-config')
    expect(await codes(recommended)).toEqual(['eviction-policy-unknown'])
    const deaf = await mutant('silence taken for a good policy')
    const hopeful = new deaf.KeyvCachePlugin({ store: recommended, clientId: 'client' })
    expect((await hopeful.checkStore()).warnings).toEqual([])

    await server.kill()
    await expect(check(recommended)).rejects.toBeInstanceOf(StoreUnavailableError)
    for (const each of [asItComes, valkey, recommendedValkey]) await closeStore(each)
    await (Reflect.get(bridged.store, 'store') as KeyvRedis<unknown>).disconnect(true)
    await closeStore(recommended)
    await server.stop()
  })
})

const MAJORS: [string, (adapter: object) => KeyvLike][] = [
  ['Keyv 5', (adapter) => new Keyv({ store: adapter, namespace: '', useKeyPrefix: false })],
  ['Keyv 6', (adapter) => new Keyv6({ store: adapter as never, namespace: '' })],
]

describe.skipIf(missingProgram('memcached'))('checkStore on a real memcached', () => {
  test.each(MAJORS)(
    '%s: not with the adapter as it comes, but with the class of docs/stores.md',
    async (_, make) => {
      const server = await OtherServer.start(MEMCACHED)
      const asItComes = new KeyvMemcache(`127.0.0.1:${server.port}`)
      const { supported, warnings } = await check(make(asItComes))
      expect(supported).toBe(false)
      expect(warnings.map(({ code }) => code)).toEqual([
        'short-lifetime',
        'deletes-on-miss',
        'unproven-adapter',
      ])

      const mended = await openSampled('memcached', server.port)
      expect(await check(make(mended))).toMatchObject({
        supported: true,
        warnings: [{ code: 'unproven-adapter' }],
      })
      asItComes.client.close()
      await closeStore({ store: mended })
      await server.stop()
    },
  )
})

describe.skipIf(missingProgram('mariadbd'))('checkStore on a real MariaDB', () => {
  test('sees that the table of the adapter is too small, until it is altered', async () => {
    const server = await OtherServer.start(MARIADB)
    const asItComes = new Keyv(new KeyvMysql(`mysql://app@127.0.0.1:${server.port}/app`), {
      namespace: '',
      useKeyPrefix: false,
    })
    expect(await codes(asItComes)).toEqual(['small-records'])
    const altered = await openStore({ kind: 'mysql', port: server.port })
    expect(await codes(altered)).toEqual([])
    await closeStore(altered)
    await server.stop()
  })
})
