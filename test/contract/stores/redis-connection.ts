import { RedisConnectionStore } from '../../../src/redis/index.ts'
import { RedisCluster } from '../../support/redis-cluster.ts'
import {
  clusterConnections,
  type OpenedConnection,
  REDIS_CLIENTS,
  redisConnections,
} from '../../support/redis-connections.ts'
import { RedisServer } from '../../support/redis-server.ts'
import type { ContractStore } from '../contract-store.ts'

interface Server {
  open(): Promise<OpenedConnection>
  stop(): Promise<void>
}

/** A store over a Redis connection of the host's own. */
function connectionStore(name: string, start: () => Promise<Server>): ContractStore {
  let server: Server | undefined
  let opened: OpenedConnection[] = []
  return {
    name,
    programs: ['redis-server'],
    address: () => undefined,
    async start() {
      server = await start()
    },
    async open() {
      if (server === undefined) throw new Error(`${name} has not been started`)
      const connection = await server.open()
      opened.push(connection)
      return new RedisConnectionStore(connection.connection)
    },
    async stop() {
      for (const { close } of opened) close()
      opened = []
      await server?.stop()
    },
  }
}

export const redisConnectionStores: readonly ContractStore[] = [
  ...REDIS_CLIENTS.map((client) =>
    connectionStore(`a connection of ${client}`, async () => {
      const server = await RedisServer.start()
      return { open: () => redisConnections[client](server.url), stop: () => server.stop() }
    }),
  ),
  ...(['ioredis', 'node-redis 6'] as const).map((client) =>
    connectionStore(`a cluster connection of ${client}`, async () => {
      const cluster = await RedisCluster.start()
      return { open: () => clusterConnections[client](cluster.urls), stop: () => cluster.stop() }
    }),
  ),
]
