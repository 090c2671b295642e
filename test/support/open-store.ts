import { Keyv, type KeyvStoreAdapter } from 'keyv'
import { runSample, sampleUnder } from './run-sample.ts'

/** Where a store is, as JSON that can be handed to another process. */
export type StoreAddress =
  | { readonly kind: 'redis'; readonly url: string }
  | { readonly kind: 'redis-cluster'; readonly urls: readonly string[] }
  | { readonly kind: 'sqlite'; readonly file: string }
  | { readonly kind: 'postgres'; readonly uri: string }
  | { readonly kind: Sampled; readonly port: number }

/** The stores that docs/stores.md shows how to open, and that are opened just so. */
const SAMPLES = {
  valkey: ['## Valkey', '127.0.0.1:6379'],
  mysql: ['## MySQL and MariaDB', '127.0.0.1:3306'],
  etcd: ['## etcd', '127.0.0.1:2379'],
  memcached: ['## memcached', '127.0.0.1:11211'],
} as const
type Sampled = keyof typeof SAMPLES

// The settings that the documentation recommends, with shorter times.
const redisClient = {
  disableOfflineQueue: true,
  pingInterval: 1_000,
  socket: {
    connectTimeout: 2_000,
    socketTimeout: 2_000,
    reconnectStrategy: (retries: number) => Math.min(25 * 2 ** retries, 500),
  },
}
const redisAdapter = { throwOnErrors: true, connectionTimeout: 2_000 }

/** Opens a store as a host would: its own connection, nothing read yet. */
export async function openStore(address: StoreAddress): Promise<Keyv> {
  return new Keyv(await openAdapter(address), { namespace: '', useKeyPrefix: false })
}

/** What adapters have to be closed by. */
interface Closable {
  disconnect?(force: boolean): Promise<void>
  /** That of memcached. */
  readonly client?: { close(): void }
  /** Keyv 6 has a bridge in front of an adapter that was made for Keyv 5. */
  readonly store?: Closable
}

/** Closes a store at once, even if its server no longer answers. */
export async function closeStore(keyv: object): Promise<void> {
  const { store: adapter } = keyv as Closable
  const store = adapter?.store ?? adapter
  if (store?.disconnect === undefined) {
    store?.client?.close()
  } else if (['KeyvPostgres', 'KeyvMysql'].includes(store.constructor.name)) {
    // All of a process share one pool, and ending it a second time is an error.
    await store.disconnect(true).catch(() => undefined)
  } else {
    await store.disconnect(true)
  }
}

/**
 * The storage adapter alone, for a Keyv of another major. Its package is imported only here: many processes open one
 * store, and all packages together take a second.
 */
export async function openAdapter(address: StoreAddress) {
  switch (address.kind) {
    case 'redis': {
      const { default: KeyvRedis } = await import('@keyv/redis')
      return new KeyvRedis({ ...redisClient, url: address.url }, redisAdapter)
    }
    case 'redis-cluster': {
      const { default: KeyvRedis } = await import('@keyv/redis')
      const rootNodes = address.urls.map((url) => ({ url }))
      return new KeyvRedis({ rootNodes, defaults: redisClient }, redisAdapter)
    }
    case 'sqlite': {
      const { default: KeyvSqlite } = await import('@keyv/sqlite')
      const adapter = new KeyvSqlite({ uri: `sqlite://${address.file}`, busyTimeout: 5_000 })
      // It has no option for this. The file remembers it.
      await adapter.query('PRAGMA journal_mode = WAL')
      return adapter
    }
    case 'postgres': {
      const { default: KeyvPostgres } = await import('@keyv/postgres')
      return new KeyvPostgres({ uri: address.uri, connectionTimeoutMillis: 2_000, query_timeout: 2_000 })
    }
    default:
      return openSampled(address.kind, address.port)
  }
}

/**
 * The storage adapter that docs/stores.md shows.
 * @param shorter what takes the place of times in it
 */
export async function openSampled(
  kind: Sampled,
  port: number,
  shorter: Readonly<Record<string, string>> = {},
): Promise<KeyvStoreAdapter> {
  const [heading, address] = SAMPLES[kind]
  const sample = sampleUnder('docs/stores.md', heading, 'js')
  const replaced = { [address]: `127.0.0.1:${port}`, ...shorter }
  return (await runSample<{ adapter: KeyvStoreAdapter }>(sample, replaced, ['adapter'])).adapter
}
