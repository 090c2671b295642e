import { once } from 'node:events'
import * as nodeRedis5 from '@keyv/redis'
import { Cluster, Redis } from 'ioredis'
import * as nodeRedis6 from 'redis'
import type { IoredisConnection, NodeRedisConnection } from '../../src/redis/index.ts'

export interface OpenedConnection {
  readonly connection: IoredisConnection | NodeRedisConnection
  /** At once, even if the server no longer answers. */
  close(): void
}

export const REDIS_CLIENTS = ['ioredis', 'node-redis 5', 'node-redis 6'] as const
type RedisClient = (typeof REDIS_CLIENTS)[number]

const backOff = (attempts: number) => Math.min(25 * 2 ** attempts, 500)
const nodeRedis = { disableOfflineQueue: true, socket: { reconnectStrategy: backOff } }

/** Connections as hosts have them, with what docs/stores.md recommends and shorter times. */
export const redisConnections: Record<RedisClient, (url: string) => Promise<OpenedConnection>> = {
  async ioredis(url) {
    const redis = new Redis(url, {
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      retryStrategy: backOff,
    })
    redis.on('error', () => {})
    await once(redis, 'ready')
    return { connection: redis, close: () => redis.disconnect() }
  },
  async 'node-redis 5'(url) {
    const client = nodeRedis5.createClient({ ...nodeRedis, url }).on('error', () => {})
    await client.connect()
    return { connection: client, close: () => client.destroy() }
  },
  async 'node-redis 6'(url) {
    const client = nodeRedis6.createClient({ ...nodeRedis, url }).on('error', () => {})
    await client.connect()
    return { connection: client, close: () => client.destroy() }
  },
}

/** As above, to the nodes of a Redis Cluster. */
export const clusterConnections: Record<RedisClient, (urls: readonly string[]) => Promise<OpenedConnection>> =
  {
    async ioredis(urls) {
      const cluster = new Cluster([...urls], { enableOfflineQueue: false })
      cluster.on('error', () => {})
      await once(cluster, 'ready')
      return { connection: cluster, close: () => cluster.disconnect() }
    },
    async 'node-redis 5'(urls) {
      const rootNodes = urls.map((url) => ({ url }))
      const cluster = nodeRedis5.createCluster({ rootNodes, defaults: nodeRedis }).on('error', () => {})
      await cluster.connect()
      return { connection: cluster, close: () => cluster.destroy() }
    },
    async 'node-redis 6'(urls) {
      const rootNodes = urls.map((url) => ({ url }))
      const cluster = nodeRedis6.createCluster({ rootNodes, defaults: nodeRedis }).on('error', () => {})
      await cluster.connect()
      return { connection: cluster, close: () => cluster.destroy() }
    },
  }
