import { RedisServer } from '../../support/redis-server.ts'
import { addressableStore } from '../contract-store.ts'

/** By the adapter for Valkey. The server is Redis, from which Valkey descends. */
export const valkey = addressableStore('@keyv/valkey', ['redis-server'], async () => {
  const server = await RedisServer.start()
  return { address: { kind: 'valkey', port: server.port }, stop: () => server.stop() }
})
