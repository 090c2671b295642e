import { RedisCluster } from '../../support/redis-cluster.ts'
import { addressableStore } from '../contract-store.ts'

export const redisCluster = addressableStore('Redis Cluster', ['redis-server'], async () => {
  const cluster = await RedisCluster.start()
  return { address: { kind: 'redis-cluster', urls: cluster.urls }, stop: () => cluster.stop() }
})
