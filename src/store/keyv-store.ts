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
  setMany?(entries: { key: string; value: string; ttl: number }[]): Promise<unknown>
  delete(key: string): Promise<unknown>
  deleteMany?(keys: string[]): Promise<unknown>
  on(event: 'error', listener: (error: unknown) => void): unknown
}

/** The storage adapter behind a Keyv instance, as far as it matters here. */
interface Adapter {
  getMany?: unknown
  getClient?: () => Promise<unknown>
  /** Keyv 6 puts an adapter that was made for Keyv 5 behind a bridge. */
  store?: { getClient?: () => Promise<unknown> }
}

interface Call {
  failed: boolean
  error: unknown
  ended: boolean
}

/** The first connection of an adapter that makes one. */
interface Connection {
  readonly made: Promise<void>
  /** What went wrong so far: a client that tries again and again says it here only. */
  readonly attempt: Call
}

// Keyv reports a failed call by an `error` event and a plain result. The event is emitted in the asynchronous
// context of the call it belongs to, so this tells whose it is, under concurrency too.
const calls = new AsyncLocalStorage<Call>()
const listening = new WeakSet<KeyvLike>()
const connections = new WeakMap<KeyvLike, Connection>()

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
    const adapter = this.#adapter
    const hasBatch = adapter === undefined || adapter instanceof Map || typeof adapter.getMany === 'function'
    // Keyv 5 reads one by one here and turns each failure into a miss, without an event.
    if (!hasBatch) return this.#readEach(keys)
    const call = calls.getStore()
    try {
      const values = await this.#keyv.getMany([...keys])
      if (!isMoved(call?.error)) return values
    } catch (error) {
      if (!isMoved(error)) throw error
    }
    // A Redis Cluster has given the keys to another node, and node-redis finds it by single commands only.
    if (call !== undefined) Object.assign(call, { failed: false, error: undefined })
    return this.#readEach(keys)
  }

  async #readEach(keys: readonly string[]): Promise<unknown[]> {
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
    const lifetime = atLeastOne(ttl)
    checkWritten(await this.#call('write', () => this.#keyv.set(key, value, lifetime)))
  }

  /**
   * Writes in one round trip where the store can.
   * @throws {StoreUnavailableError} when one of them failed; the others may have been written
   */
  async writeAll(entries: readonly { key: string; value: string; ttl: number }[]): Promise<void> {
    const clamped = entries.map((entry) => ({ ...entry, ttl: atLeastOne(entry.ttl) }))
    const run = () =>
      this.#keyv.setMany?.(clamped) ??
      Promise.all(clamped.map(({ key, value, ttl }) => this.#keyv.set(key, value, ttl)))
    checkWritten(await this.#call('write', run))
  }

  /**
   * Deletes in one round trip where the store can.
   * @throws {StoreUnavailableError} when one of them failed; the others may have been deleted
   */
  async delete(keys: readonly string[]): Promise<void> {
    const run = () => {
      const [key, ...more] = keys
      if (key !== undefined && more.length === 0) return this.#keyv.delete(key)
      return this.#keyv.deleteMany?.([...keys]) ?? Promise.all(keys.map((each) => this.#keyv.delete(each)))
    }
    const { call } = await this.#call<unknown>('delete', run)
    if (call.failed) throw new StoreUnavailableError('delete', { timedOut: false, cause: call.error })
  }

  async #call<Result>(
    operation: StoreOperation,
    run: () => Promise<Result>,
    timeout: number = this.#timeout,
  ): Promise<{ result: Result; call: Call }> {
    const call = newCall()
    const { made, attempt } = this.#connection()
    const { promise: late, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      const cause = call.error ?? (attempt.ended ? undefined : attempt.error)
      reject(new StoreUnavailableError(operation, { timedOut: true, cause }))
    }, timeout)
    try {
      const result = await Promise.race([calls.run(call, () => made.then(run)), late])
      return { result, call }
    } catch (error) {
      if (error instanceof StoreUnavailableError) throw error
      throw new StoreUnavailableError(operation, { timedOut: false, cause: error })
    } finally {
      call.ended = true
      clearTimeout(timer)
    }
  }

  /**
   * The first connection, shared by all who wait for it: @keyv/redis takes a client that is still connecting for
   * a connected one, so that concurrent first calls fail, or are answered with misses on a Redis Cluster.
   */
  #connection(): Connection {
    const known = connections.get(this.#keyv)
    if (known !== undefined) return known
    const attempt = newCall()
    const made = calls.run(attempt, () => this.#connect(attempt))
    made.catch(() => connections.delete(this.#keyv))
    const connection = { made, attempt }
    connections.set(this.#keyv, connection)
    return connection
  }

  async #connect(attempt: Call): Promise<void> {
    try {
      const adapter = this.#adapter
      await (adapter?.getClient === undefined ? adapter?.store : adapter)?.getClient?.()
    } catch (error) {
      // The adapter's own error says no more than that it failed.
      throw attempt.error ?? error
    } finally {
      attempt.ended = true
    }
  }

  get #adapter(): Adapter | undefined {
    return (this.#keyv as { store?: Adapter }).store
  }
}

function newCall(): Call {
  return { failed: false, error: undefined, ended: false }
}

function isMoved(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('MOVED ')
}

function atLeastOne(ttl: number): number {
  return Math.max(1, Math.ceil(ttl))
}

/** Keyv and its adapters answer with a boolean, an array of them, or nothing. */
function checkWritten({ result, call }: { result: unknown; call: Call }): void {
  if (call.failed || [result].flat().includes(false)) {
    throw new StoreUnavailableError('write', { timedOut: false, cause: call.error ?? 'it was refused' })
  }
}
