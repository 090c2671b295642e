import KeyvPostgres from '@keyv/postgres'
import KeyvRedis from '@keyv/redis'
import KeyvSqlite from '@keyv/sqlite'
import { Keyv } from 'keyv'
import { KeyvBridgeAdapter } from 'keyv6'

/** Where a store is, as JSON that can be handed to another process. */
export type StoreAddress =
  | { readonly kind: 'redis'; readonly url: string }
  | { readonly kind: 'redis-cluster'; readonly urls: readonly string[] }
  | { readonly kind: 'sqlite'; readonly file: string }
  | { readonly kind: 'postgres'; readonly uri: string }

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

/** Closes a store at once, even if its server no longer answers. */
export async function closeStore(keyv: object): Promise<void> {
  const adapter = 'store' in keyv ? keyv.store : undefined
  // Keyv 6 has a bridge in front of an adapter that was made for Keyv 5.
  const store = adapter instanceof KeyvBridgeAdapter ? adapter.store : adapter
  if (store instanceof KeyvRedis) {
    await store.disconnect(true)
  } else if (store instanceof KeyvSqlite) {
    await store.disconnect()
  } else if (store instanceof KeyvPostgres) {
    // All of a process share one pool, and ending it a second time is an error.
    await store.disconnect().catch(() => undefined)
  }
}

/** The storage adapter alone, for a Keyv of another major. */
export async function openAdapter(address: StoreAddress) {
  switch (address.kind) {
    case 'redis':
      return new KeyvRedis({ ...redisClient, url: address.url }, redisAdapter)
    case 'redis-cluster': {
      const rootNodes = address.urls.map((url) => ({ url }))
      return new KeyvRedis({ rootNodes, defaults: redisClient }, redisAdapter)
    }
    case 'sqlite': {
      const adapter = new KeyvSqlite({ uri: `sqlite://${address.file}`, busyTimeout: 5_000 })
      // It has no option for this. The file remembers it.
      await adapter.query('PRAGMA journal_mode = WAL')
      return adapter
    }
    case 'postgres':
      return new KeyvPostgres({ uri: address.uri, connectionTimeoutMillis: 2_000, query_timeout: 2_000 })
  }
}
