export {
  type IoredisConnection,
  type NodeRedisConnection,
  RedisConnectionStore,
} from './connection-store.ts'
