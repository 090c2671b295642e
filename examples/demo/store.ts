import KeyvRedis, { createClient } from '@keyv/redis'
import { Keyv } from 'keyv'
import { SqliteAdapter } from './sqlite.ts'

/** The store of one machine. */
export function openStore(file: string, name = 'tokens'): Keyv {
  return new Keyv({ store: new SqliteAdapter(file, name), namespace: '', useKeyPrefix: false })
}

/** The store of a fleet: docs/stores.md says what each setting is for. Keys begin with the name, to be told apart. */
export async function openRedisStore(url: string, name: string): Promise<Keyv> {
  const client = createClient({
    url,
    disableOfflineQueue: true,
    pingInterval: 5_000,
    socket: {
      connectTimeout: 2_000,
      socketTimeout: 10_000,
      reconnectStrategy: (retries) => Math.min(50 * 2 ** retries, 2_000),
    },
  })
  const adapter = new KeyvRedis(client, { throwOnErrors: true, connectionTimeout: 2_000 })
  await adapter.getClient()
  return new Keyv(adapter, { namespace: `msal-keyv-demo-${name}`, useKeyPrefix: false })
}
