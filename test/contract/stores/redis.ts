import { RedisServer } from '../../support/redis-server.ts'
import { addressableStore } from '../contract-store.ts'

export const redis = addressableStore('Redis', ['redis-server'], async () => {
  const server = await RedisServer.start()
  return { address: { kind: 'redis', url: server.url }, stop: () => server.stop() }
})
