import { AsyncLocalStorage } from 'node:async_hooks'
import { type StoreOperation, StoreUnavailableError } from '../errors.ts'

/**
 * What this library needs of a Keyv instance. Keyv 5 (from 5.6) and 6 fit; their two `Keyv` classes are not
 * assignable to each other, hence a structural type.
 */
export interface KeyvLike {
  getRaw(key: string): Promise<unknown>
  getMany(keys: string[]): Promise<unknown>
  set(key: string, value: string, ttl: number): Promise<unknown>
  delete(key: string): Promise<unknown>
  on(event: 'error', listener: (error: unknown) => void): unknown
}

/** The storage adapter behind a Keyv instance, as far as it matters here. */
interface Adapter {
  getMany?: unknown
  getClient?: () => Promise<unknown>
}

interface Call {
  failed: boolean
  error: unknown
  ended: boolean
}

// Keyv reports a failed call by an `error` event and a plain result. The event is emitted in the asynchronous
// context of the call it belongs to, so this tells whose it is, under concurrency too.
const calls = new AsyncLocalStorage<Call>()
const listening = new WeakSet<KeyvLike>()

function attributeError(error: unknown): void {
  const call = calls.getStore()
  // A socket opened within a call inherits its context for life; later errors are not that call's.
  if (call === undefined || call.ended) return
  call.failed = true
  call.error ??= error
}

/** A Keyv store whose failures look like failures: every call ends in time, and an outage is never a miss. */
export class KeyvStore {
  readonly #keyv: KeyvLike
  readonly #timeout: number

  /** @param timeout milliseconds that one call may take */
  constructor(keyv: KeyvLike, timeout: number) {
    this.#keyv = keyv
    this.#timeout = timeout
    if (!listening.has(keyv)) {
      keyv.on('error', attributeError)
      listening.add(keyv)
    }
  }

  /** The longest that one call may take, in milliseconds. */
  get timeout(): number {
    return this.#timeout
  }

  /**
   * Reads in one round trip, or, over an adapter that has no batch read, one key after the other in the order
   * given. What is not there is `undefined`.
   * @throws {StoreUnavailableError}
   */
  async read(keys: readonly string[], timeout: number = this.#timeout): Promise<unknown[]> {
    const { result, call } = await this.#call('read', () => this.#readAll(keys), timeout)
    const values = Array.isArray(result) ? result : []
    const missing = keys.some((_, index) => values[index] === undefined || values[index] === null)
    if (call.failed && missing)
      throw new StoreUnavailableError('read', { timedOut: false, cause: call.error })
    return keys.map((_, index) => values[index] ?? undefined)
  }

  async #readAll(keys: readonly string[]): Promise<unknown> {
    const adapter = (this.#keyv as { store?: Adapter }).store
    if (adapter === undefined || adapter instanceof Map || typeof adapter.getMany === 'function') {
      // On a Redis Cluster, @keyv/redis 5 answers a batch read before the first connection with misses.
      await adapter?.getClient?.()
      return this.#keyv.getMany([...keys])
    }
    // Keyv 5 reads one by one here and turns each failure into a miss, without an event.
    const values: unknown[] = []
    for (const key of keys) {
      const raw = await this.#keyv.getRaw(key)
      values.push((raw as { value?: unknown } | undefined)?.value)
    }
    return values
  }

  /**
   * @param ttl milliseconds from now, at least 1: Keyv 6 takes a negative one for "never"
   * @throws {StoreUnavailableError}
   */
  async write(key: string, value: string, ttl: number): Promise<void> {
    const lifetime = Math.max(1, Math.ceil(ttl))
    const { result, call } = await this.#call('write', () => this.#keyv.set(key, value, lifetime))
    if (call.failed || result === false) {
      throw new StoreUnavailableError('write', { timedOut: false, cause: call.error ?? 'set was refused' })
    }
  }

  /**
   * True when the store says that there was something to delete.
   * @throws {StoreUnavailableError}
   */
  async delete(key: string): Promise<boolean> {
    const { result, call } = await this.#call('delete', () => this.#keyv.delete(key))
    if (call.failed) throw new StoreUnavailableError('delete', { timedOut: false, cause: call.error })
    return result === true
  }

  async #call<Result>(
    operation: StoreOperation,
    run: () => Promise<Result>,
    timeout: number = this.#timeout,
  ): Promise<{ result: Result; call: Call }> {
    const call: Call = { failed: false, error: undefined, ended: false }
    const { promise: late, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => reject(new StoreUnavailableError(operation, { timedOut: true })), timeout)
    try {
      const result = await Promise.race([calls.run(call, async () => run()), late])
      return { result, call }
    } catch (error) {
      if (error instanceof StoreUnavailableError) throw error
      throw new StoreUnavailableError(operation, { timedOut: false, cause: error })
    } finally {
      call.ended = true
      clearTimeout(timer)
    }
  }
}
