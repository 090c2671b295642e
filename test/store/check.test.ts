import KeyvRedis from '@keyv/redis'
import Keyv from 'keyv'
import { Keyv as Keyv6 } from 'keyv6'
import { describe, expect, test } from 'vitest'
import { KeyvCachePlugin, type KeyvLike, StoreUnavailableError } from '../../src/index.ts'
import { closeStore, openStore } from '../support/open-store.ts'
import { missingProgram } from '../support/programs.ts'
import { RedisServer } from '../support/redis-server.ts'

const check = (store: KeyvLike, storeTimeout = 1000) =>
  new KeyvCachePlugin({ store, clientId: 'client', storeTimeout }).checkStore()
const codes = async (store: KeyvLike) => (await check(store)).warnings.map(({ code }) => code)

describe('checkStore', () => {
  test('finds nothing wrong with a plain store, and leaves nothing in it', async () => {
    const records = new Map<string, unknown>()
    const { milliseconds, warnings } = await check(new Keyv(records, { namespace: '', useKeyPrefix: false }))
    expect(warnings).toEqual([])
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

    const { client } = recommended.store as {
      client: { configSet(name: string, value: string): Promise<unknown> }
    }
    await client.configSet('maxmemory-policy', 'allkeys-lru')
    expect(await codes(recommended)).toEqual(['eviction-policy'])

    await server.kill()
    await expect(check(recommended)).rejects.toBeInstanceOf(StoreUnavailableError)
    await closeStore(asItComes)
    await (Reflect.get(bridged.store, 'store') as KeyvRedis<unknown>).disconnect(true)
    await closeStore(recommended)
    await server.stop()
  })
})
