import '../node-version.ts'

export {
  type IoredisConnection,
  type NodeRedisConnection,
  RedisConnectionStore,
} from './connection-store.ts'
export { openRedisStore, type RedisStore } from './open-redis-store.ts'
export type { RedisCredentials, RedisStoreOptions } from './options.ts'
