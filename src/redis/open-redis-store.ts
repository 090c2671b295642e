import { Keyv } from 'keyv'
import type { KeyvLike } from '../store/adapter.ts'
import { RedisAdapter } from './adapter.ts'
import { type RedisStoreOptions, resolveRedisOptions } from './options.ts'

/** A store for `ConfidentialClients` and `KeyvCachePlugin`: Keyv over Redis. */
export interface RedisStore extends KeyvLike {
  /** Closes it once the calls in flight have ended. Every later call fails. */
  disconnect(): Promise<void>
  /** The same, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * The recommended store of several processes: a Redis or Valkey server, what Sentinels watch over, or a cluster, through
 * the package `@keyv/redis`. The first call connects. A connection that is lost, does not answer, or leads to a server
 * that has become a replica is replaced at the next call. Until then calls fail, and none is sent later. The store keeps
 * no process alive, except while a call is in flight.
 *
 * @throws {ConfigurationError} naming the option. Where `@keyv/redis` is not installed, the first call throws it
 * @example
 * ```ts
 * const msal = new ConfidentialClients(configuration, { store: openRedisStore('redis://127.0.0.1:6379') })
 * ```
 */
export function openRedisStore(options: string | RedisStoreOptions): RedisStore {
  const adapter = new RedisAdapter(resolveRedisOptions(options))
  const keyv = new Keyv({ store: adapter, namespace: '', useKeyPrefix: false })
  return Object.assign(keyv, { [Symbol.asyncDispose]: () => adapter.disconnect() })
}
