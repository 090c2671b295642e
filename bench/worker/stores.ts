import KeyvRedis, { createClient } from '@keyv/redis'
import KeyvSqlite from '@keyv/sqlite'
import { Keyv } from 'keyv'
import { type Counter, CountingMap } from './counter.ts'

/** Where a store is, as JSON that a worker can be handed. A Map is known by its name within one process. */
export type StoreAddress =
  | { readonly kind: 'map'; readonly name: string }
  | { readonly kind: 'sqlite'; readonly file: string }
  | { readonly kind: 'redis' | 'redis-cached'; readonly url: string }

/** A store of texts. */
export interface Texts {
  get(key: string): Promise<string | null | undefined>
  set(key: string, value: string): Promise<unknown>
  delete(key: string): Promise<unknown>
}

/**
 * A store, opened as `docs/stores.md` recommends, but without timeouts on the socket: calls that never wait for
 * anything, as over a Map, keep a process from reading its sockets for as long as they go on.
 */
export interface Store {
  readonly keyv: Keyv
  /** node-redis without Keyv, where there is a Redis. */
  readonly redis: Texts | undefined
  /** Adds so many records of nobody's. */
  fill(count: number, record: string): Promise<void>
  /** @throws whatever a call has failed with so far: Keyv takes a failed read for a miss */
  check(): void
  /** How many bytes have gone over the wire so far, where there is one. */
  traffic(): Promise<number | undefined>
  close(): Promise<void>
}

type Opened = Omit<Store, 'check'>

const maps = new Map<string, Map<string, unknown>>()

/** @param counter counts what is done by this opening of the store */
export async function openStore(address: StoreAddress, counter?: Counter): Promise<Store> {
  const opened = await open(address, counter)
  const failures: unknown[] = []
  opened.keyv.on('error', (error: unknown) => failures.push(error))
  const store = {
    ...opened,
    check() {
      if (failures.length > 0) throw failures[0]
    },
  }
  if (counter === undefined) return store
  return {
    ...store,
    keyv: counter.countingCalls(store.keyv),
    redis: store.redis && counter.countingCalls(store.redis),
  }
}

/** Keyv as a client of texts. */
export function textsOf(keyv: Keyv): Texts {
  return {
    get: (key) => keyv.get<string>(key),
    set: (key, value) => keyv.set(key, value),
    delete: (key) => keyv.delete(key),
  }
}

function open(address: StoreAddress, counter: Counter | undefined): Promise<Opened> {
  if (address.kind === 'map') return openMap(address.name, counter)
  if (address.kind === 'sqlite') return openSqlite(address.file, counter)
  return openRedis(address.url, address.kind === 'redis-cached')
}

async function openMap(name: string, counter: Counter | undefined): Promise<Opened> {
  const map = maps.get(name) ?? new Map<string, unknown>()
  maps.set(name, map)
  return {
    keyv: new Keyv({ store: counter === undefined ? map : new CountingMap(counter, map) }),
    redis: undefined,
    async fill(count, record) {
      for (let n = 0; n < count; n++) map.set(`filler:${n}`, record)
    },
    traffic: async () => undefined,
    async close() {
      if (counter === undefined) maps.delete(name)
    },
  }
}

async function openSqlite(file: string, counter: Counter | undefined): Promise<Opened> {
  const adapter = new KeyvSqlite({ uri: `sqlite://${file}`, busyTimeout: 1_000 })
  await adapter.query('PRAGMA journal_mode = WAL')
  return {
    keyv: new Keyv(counter?.countingBytes(adapter) ?? adapter, { namespace: '', useKeyPrefix: false }),
    redis: undefined,
    async fill(count, record) {
      const numbers = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)'
      const rows = `${numbers} SELECT 'filler:' || i, ? FROM n`
      if (count > 0) await adapter.query(`INSERT INTO keyv (key, value) ${rows}`, count, record)
    },
    traffic: async () => undefined,
    close: () => adapter.disconnect(),
  }
}

const connection = {
  disableOfflineQueue: true,
  socket: { connectTimeout: 10_000, reconnectStrategy: false },
} as const
const cached = { RESP: 3, clientSideCache: { ttl: 0, maxEntries: 10_000, evictPolicy: 'LRU' } } as const

async function openRedis(url: string, isCached: boolean): Promise<Opened> {
  const settings = isCached ? { ...connection, ...cached, url } : { ...connection, url }
  const adapter = new KeyvRedis(settings, { throwOnErrors: true, connectionTimeout: 10_000 })
  await adapter.getClient()
  const client = createClient(settings)
  const statistics = createClient({ ...connection, url })
  // What fails, fails in a call.
  for (const it of [client, statistics]) await it.on('error', () => {}).connect()
  return {
    keyv: new Keyv(adapter, { namespace: '', useKeyPrefix: false }),
    redis: {
      get: async (key) => `${(await client.get(key)) ?? ''}`,
      set: (key, value) => client.set(key, value),
      delete: (key) => client.del(key),
    },
    async fill(count, record) {
      const batch = 1_000
      for (let n = 0; n < count; n += batch) {
        const size = Math.min(batch, count - n)
        await Promise.all(Array.from({ length: size }, (_, i) => statistics.set(`filler:${n + i}`, record)))
      }
    },
    async traffic() {
      const text = `${await statistics.info('stats')}`
      const counts = [...text.matchAll(/^total_net_(?:input|output)_bytes:(\d+)/gm)]
      return counts.reduce((sum, [, count]) => sum + Number(count), 0)
    },
    async close() {
      await Promise.all([client.close(), statistics.close(), adapter.disconnect()])
    },
  }
}
