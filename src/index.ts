export {
  ConfigurationError,
  EvictionError,
  MsalKeyvError,
  type MsalKeyvErrorCode,
  type StoreOperation,
  StoreUnavailableError,
} from './errors.ts'
export type { KeyvCachePluginOptions } from './options.ts'
export type { AccountRef, HostSession } from './partitions/identity.ts'
export type { Eviction } from './partitions/repository.ts'
export { KeyvCachePlugin } from './plugin.ts'
export type { KeyvLike } from './store/keyv-store.ts'
