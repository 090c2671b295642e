import { EventEmitter } from 'node:events'
import type KeyvRedis from '@keyv/redis'
import type { RedisClientType } from '@keyv/redis'
import { connect, loadPackage } from './connect.ts'
import type { RedisLink } from './link.ts'
import type { RedisSettings } from './options.ts'

/** Milliseconds between attempts to connect: calls in between fail with what the last one failed with. */
const SHORTEST_PAUSE = 50
const LONGEST_PAUSE = 1_000
/** Beyond every deadline: a timer that lasts as long as its call. */
const AS_LONG_AS_THE_CALL = 2 ** 31 - 1

/**
 * A storage adapter for Keyv 5 and 6 that opens its connection when it is called, and another one once that is lost. It
 * never waits for a connection without having been called: nothing of it keeps a process alive.
 */
export class RedisAdapter extends EventEmitter {
  /** That it is, for those who look at the adapter. */
  readonly throwOnErrors = true
  readonly opts = { dialect: 'redis' }
  /** What of node-redis' client those need who look at the server: also such a call keeps the process alive. */
  readonly client = {
    options: { disableOfflineQueue: true },
    configGet: (name: string) => this.#use(({ client }) => (client as RedisClientType).configGet(name)),
  }
  readonly #settings: RedisSettings
  readonly #load: typeof loadPackage
  #link: RedisLink | undefined
  #opening: Promise<RedisLink> | undefined
  #failures = 0
  #failure: { readonly error: unknown; readonly until: number } | undefined
  #isClosed = false

  constructor(settings: RedisSettings, load = loadPackage) {
    super()
    this.#settings = settings
    this.#load = load
  }

  async getClient(): Promise<RedisLink['client']> {
    return (await this.#connected()).client
  }

  async get(key: string): Promise<string | undefined> {
    return this.#use((redis) => redis.get(key))
  }

  async getMany(keys: string[]): Promise<(string | undefined)[]> {
    return this.#use((redis) => redis.getMany(keys))
  }

  async set(key: string, value: string, ttl?: number): Promise<void> {
    return this.#use((redis) => redis.set(key, value, ttl))
  }

  async setMany(entries: { key: string; value: string; ttl?: number }[]): Promise<void> {
    return this.#use((redis) => redis.setMany(entries))
  }

  async delete(key: string): Promise<boolean> {
    return this.#use((redis) => redis.delete(key))
  }

  async deleteMany(keys: string[]): Promise<boolean> {
    return this.#use((redis) => redis.deleteMany(keys))
  }

  async has(key: string): Promise<boolean> {
    return this.#use((redis) => redis.has(key))
  }

  /** Of Keyv's interface. This library never clears a store. */
  async clear(): Promise<void> {
    return this.#use((redis) => redis.clear())
  }

  async disconnect(): Promise<void> {
    this.#isClosed = true
    const link = this.#link ?? (await this.#opening?.catch(() => undefined))
    this.#link = undefined
    await link?.retire()
  }

  async #use<Result>(run: (redis: KeyvRedis<string>) => Promise<Result>): Promise<Result> {
    // Its sockets keep no process alive: this does, until the call has ended.
    const timer = setTimeout(() => {}, AS_LONG_AS_THE_CALL)
    try {
      let link = await this.#connected()
      // Another call may have found meanwhile that it has to be left.
      while (!link.isUsable) link = await this.#connected()
      return await link.use(run)
    } finally {
      clearTimeout(timer)
    }
  }

  async #connected(): Promise<RedisLink> {
    if (this.#isClosed) throw new Error('the store was disconnected')
    if (this.#link?.isUsable) return this.#link
    if (this.#failure !== undefined && Date.now() < this.#failure.until) throw this.#failure.error
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #open(): Promise<RedisLink> {
    try {
      const link = await connect(await this.#load(), this.#settings, (error) => this.#tell(error))
      this.#link = link
      this.#failure = undefined
      this.#failures = 0
      return link
    } catch (error) {
      const pause = Math.min(SHORTEST_PAUSE * 2 ** this.#failures++, LONGEST_PAUSE)
      this.#failure = { error, until: Date.now() + pause }
      throw error
    }
  }

  /** Keyv listens, and so does the library; without a listener an `error` event would end the process. */
  #tell(error: unknown): void {
    if (this.listenerCount('error') > 0) this.emit('error', error)
  }
}
