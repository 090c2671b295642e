import { ConfigurationError } from '../errors.ts'
import { CONNECTION, type KeyvLike } from '../store/adapter.ts'

/** What a record store needs of an ioredis connection or cluster, or of any object that is one in these. */
export interface IoredisConnection {
  get(key: string): Promise<string | null>
  mget(keys: string[]): Promise<(string | null)[]>
  set(key: string, value: string, unit: 'PX', milliseconds: number): Promise<unknown>
  del(key: string): Promise<number>
  on?(event: 'error', listener: (error: unknown) => void): unknown
}

/** What a record store needs of a node-redis client or cluster. */
export interface NodeRedisConnection {
  get(key: string): Promise<string | null>
  mGet(keys: string[]): Promise<(string | null)[]>
  /** Older majors know `PX`, newer ones `expiration`: neither may leave a record without its end. */
  set(
    key: string,
    value: string,
    options: { PX: number; expiration: { type: 'PX'; value: number } },
  ): Promise<unknown>
  del(key: string): Promise<number>
  on?(event: 'error', listener: (error: unknown) => void): unknown
}

/**
 * A store over the Redis connection that a host has already, without Keyv between: an ioredis or a node-redis (5 or 6)
 * client or cluster, or any object with ioredis' `get`, `mget`, `set` with `'PX'`, and `del`. Connecting, reconnecting
 * and closing it are the host's. Whatever it rejects is an outage, and so is an answer that Redis cannot have given.
 *
 * @example
 * ```ts
 * import { Redis } from 'ioredis'
 *
 * const redis = new Redis('redis://127.0.0.1:6379', { enableOfflineQueue: false, maxRetriesPerRequest: 0 })
 * const msal = new ConfidentialClients(configuration, { store: new RedisConnectionStore(redis) })
 * ```
 */
export class RedisConnectionStore implements KeyvLike {
  readonly #connection: IoredisConnection | NodeRedisConnection

  /** @throws {ConfigurationError} naming the method that is missing */
  constructor(connection: IoredisConnection | NodeRedisConnection) {
    for (const method of ['get', 'set', 'del'] as const) checkMethod(connection, method)
    if (!isNodeRedis(connection)) checkMethod(connection, 'mget')
    this.#connection = connection
    // Not enumerable: nobody prints the connection with its password.
    Object.defineProperty(this, CONNECTION, { value: connection })
  }

  async getRaw(key: string): Promise<{ value: string } | undefined> {
    const value = text(await this.#connection.get(key))
    return value === undefined ? undefined : { value }
  }

  /** One MGET for the keys of each Redis Cluster slot, all sent at once. */
  async getMany(keys: string[]): Promise<(string | undefined)[]> {
    const found = new Map<string, string | undefined>()
    const slots = Map.groupBy(keys, hashTag).values()
    await Promise.all(
      [...slots].map(async (slot) => {
        const values: unknown = await this.#mget(slot)
        if (!Array.isArray(values) || values.length !== slot.length) throw unexpected('MGET')
        for (const [index, key] of slot.entries()) found.set(key, text(values[index]))
      }),
    )
    return keys.map((key) => found.get(key))
  }

  async set(key: string, value: string, ttl: number): Promise<true> {
    const connection = this.#connection
    const answer = isNodeRedis(connection)
      ? await connection.set(key, value, { PX: ttl, expiration: { type: 'PX', value: ttl } })
      : await connection.set(key, value, 'PX', ttl)
    if (answer !== 'OK') throw unexpected('SET')
    return true
  }

  async setMany(entries: { key: string; value: string; ttl: number }[]): Promise<true[]> {
    return Promise.all(entries.map(({ key, value, ttl }) => this.set(key, value, ttl)))
  }

  async delete(key: string): Promise<boolean> {
    const deleted: unknown = await this.#connection.del(key)
    if (deleted !== 0 && deleted !== 1) throw unexpected('DEL')
    return deleted === 1
  }

  /** The connection's own errors, which say why calls fail. */
  on(event: 'error', listener: (error: unknown) => void): this {
    this.#connection.on?.(event, listener)
    return this
  }

  #mget(keys: string[]): Promise<unknown> {
    const connection = this.#connection
    return isNodeRedis(connection) ? connection.mGet(keys) : connection.mget(keys)
  }
}

function isNodeRedis(connection: IoredisConnection | NodeRedisConnection): connection is NodeRedisConnection {
  return typeof (connection as Partial<NodeRedisConnection>)?.mGet === 'function'
}

/** What Redis Cluster takes the slot of a key from: what is in its first braces. */
function hashTag(key: string): string {
  return /\{([^}]+)\}/.exec(key)?.[1] ?? key
}

function text(value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined
  // A Buffer, or what an object that parses JSON by itself makes of a record.
  if (typeof value !== 'string') throw unexpected('GET')
  return value
}

function unexpected(command: string): Error {
  return new Error(`the connection's answer to ${command} is not one that Redis gives`)
}

function checkMethod(connection: unknown, method: string): void {
  if (typeof (connection as Record<string, unknown> | undefined)?.[method] === 'function') return
  throw new ConfigurationError(
    `connection has no method ${method}: it must be a client of ioredis or node-redis, or an object like one`,
  )
}
