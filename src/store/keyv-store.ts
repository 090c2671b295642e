import { AsyncLocalStorage } from 'node:async_hooks'
import { oneForAllCopies, SharedKnowledge } from '../copies.ts'
import { ConfigurationError, StoreUnavailableError } from '../errors.ts'
import {
  adapterOf,
  isInMap,
  isProven,
  isUnparseable,
  type KeyvLike,
  mayBeUnparseable,
  prefixesOf,
} from './adapter.ts'

/** What to write; the lifetime is in milliseconds. */
export interface StoreEntry {
  readonly key: string
  readonly value: string
  readonly ttl: number
}

/** Stands for a value that is in the store and that Keyv cannot parse: a record that nobody can read (P8). */
export const UNPARSEABLE: unique symbol = Symbol('msal-keyv: not to be parsed')

/** What must be there if the store answers at all, over adapters that are not proven. It says nothing. */
const CANARY = 'mk1_canary'
/** Below the 30 days after which memcached takes an expiry for a date. Milliseconds. */
const CANARY_LIFETIME = 7 * 24 * 60 * 60 * 1000

/** One call of the store, and what Keyv said of it. */
interface Call {
  failed: boolean
  error: unknown
  /** Whether an `error` event that belongs to no call came meanwhile, and which. */
  disturbed: boolean
  disturbance: unknown
  ended: boolean
}

// Keyv reports a failed call by an `error` event and a plain result. The event is emitted in the asynchronous
// context of the call it belongs to, so this tells whose it is, under concurrency too.
const calls = oneForAllCopies('calls 1', () => new AsyncLocalStorage<Call>())

/** The first connection of an adapter that makes one. */
interface Connection {
  readonly made: Promise<void>
  /** What went wrong so far: a client that tries again and again says it here only. */
  readonly attempt: Call
}

/** What is known of a Keyv that is listened to. */
interface Listened {
  readonly inFlight: Set<Call>
  connection: Connection | undefined
}

/** Its protocol is the shape of {@link Listened}, and of the {@link Call} that the asynchronous context holds. */
const stores = new SharedKnowledge<Listened>('store', '1')

/**
 * A Keyv store whose failures look like failures: every call ends in time, and an outage is never a miss.
 *
 * Adapters that are not proven (see {@link isProven}) pay for it with more calls: each key is read by itself, a
 * miss counts only if the store then returns the canary, and critical writes are read back.
 */
export class KeyvStore {
  readonly #keyv: KeyvLike
  readonly #timeout: number
  readonly #listened: Listened
  readonly #prefixes: readonly unknown[]

  /** @param timeout milliseconds that one call may take */
  constructor(keyv: KeyvLike, timeout: number) {
    this.#keyv = keyv
    this.#timeout = timeout
    this.#listened = listen(keyv)
    this.#prefixes = prefixesOf(keyv)
  }

  /** The longest that one call may take, in milliseconds. */
  get timeout(): number {
    return this.#timeout
  }

  /**
   * Reads in one round trip, or, over an adapter that is not proven, one key after the other in the order given.
   * What is not there is `undefined`; what Keyv cannot parse is {@link UNPARSEABLE}.
   * @throws {StoreUnavailableError}
   */
  async read(keys: readonly string[], timeout: number = this.#timeout): Promise<unknown[]> {
    const run = (call: Call) =>
      isProven(this.#keyv) ? this.#readBatch(keys, call) : this.#readCarefully(keys, call)
    return this.#call('read', run, timeout)
  }

  async #readBatch(keys: readonly string[], call: Call): Promise<unknown[]> {
    try {
      const values = await this.#keyv.getMany([...keys])
      if (!Array.isArray(values) || values.length !== keys.length) {
        throw new Error('the adapter did not answer for every key')
      }
      const found = values.map((value: unknown) => value ?? undefined)
      if (call.failed && found.includes(undefined)) throw call.error
      for (const [index, key] of keys.entries()) {
        if (found[index] !== undefined || !isInMap(this.#keyv, key)) continue
        if (await isUnparseable(this.#keyv, key)) found[index] = UNPARSEABLE
      }
      return found
    } catch (error) {
      // A Redis Cluster has given the keys to another node, and node-redis finds it by single commands only.
      if (!isMoved(error) && !mayBeUnparseable(this.#keyv, error)) throw error
      forget(call)
      return this.#readEach(keys, call)
    }
  }

  async #readCarefully(keys: readonly string[], call: Call): Promise<unknown[]> {
    const values = await this.#readEach(keys, call)
    if (!values.includes(undefined)) return values
    if (values.every((value) => value === undefined)) await this.#findCanary(call)
    this.#checkUndisturbed(call)
    return values
  }

  async #readEach(keys: readonly string[], call: Call): Promise<unknown[]> {
    const values: unknown[] = []
    for (const key of keys) values.push(await this.#readOne(key, call))
    return values
  }

  async #readOne(key: string, call: Call): Promise<unknown> {
    checkNotGivenUp(call)
    try {
      const raw = await this.#keyv.getRaw(key)
      const value = (raw as { value?: unknown } | undefined)?.value ?? undefined
      if (call.failed && value === undefined) throw call.error
      return value
    } catch (error) {
      if (!mayBeUnparseable(this.#keyv, error) || !(await isUnparseable(this.#keyv, key))) throw error
      forget(call)
      return UNPARSEABLE
    }
  }

  /** Whether nothing is there because nothing is, or because the adapter hides that the store does not answer. */
  async #findCanary(call: Call): Promise<void> {
    if ((await this.#readOne(CANARY, call)) === CANARY) return
    await this.#write(CANARY, CANARY, CANARY_LIFETIME, call)
    if ((await this.#readOne(CANARY, call)) === CANARY) return
    throw call.disturbance ?? new Error('the store returns nothing, not even what was written just now')
  }

  /**
   * @param ttl milliseconds from now, at least 1: Keyv 6 takes a negative one for "never"
   * @throws {StoreUnavailableError}
   */
  async write(key: string, value: string, ttl: number): Promise<void> {
    await this.#call('write', (call) => this.#write(key, value, ttl, call))
  }

  /**
   * As {@link writeAll}, for what must not be lost: over an adapter that is not proven each is read back, and another
   * one is written if it is not there. What was written once is never written again: it could undo what came after it.
   * @param makers each makes an entry, and another one for another attempt
   * @throws {StoreUnavailableError}
   */
  async writeConfirmed(makers: readonly (() => StoreEntry)[]): Promise<void> {
    if (isProven(this.#keyv)) return this.writeAll(makers.map((make) => make()))
    for (const make of makers) await this.#writeConfirmed(make)
  }

  async #writeConfirmed(make: () => StoreEntry): Promise<void> {
    await this.#call('write', async (call) => {
      for (let attempts = 4; attempts > 0; attempts--) {
        const { key, value, ttl } = make()
        await this.#write(key, value, ttl, call)
        if ((await this.#readOne(key, call)) === value) return
      }
      throw new Error('what was written is not there')
    })
  }

  /**
   * Writes in one round trip where the store can.
   * @throws {StoreUnavailableError} when one of them failed; the others may have been written
   */
  async writeAll(entries: readonly StoreEntry[]): Promise<void> {
    const [entry, ...more] = entries
    if (entry === undefined) return
    if (more.length === 0) return this.write(entry.key, entry.value, entry.ttl)
    const clamped = entries.map((each) => ({ ...each, ttl: atLeastOne(each.ttl) }))
    const run = () =>
      this.#keyv.setMany?.(clamped) ??
      Promise.all(clamped.map(({ key, value, ttl }) => this.#keyv.set(key, value, ttl)))
    await this.#call('write', async (call) => this.#checkWritten(await run(), call))
  }

  async #write(key: string, value: string, ttl: number, call: Call): Promise<void> {
    checkNotGivenUp(call)
    this.#checkWritten(await this.#keyv.set(key, value, atLeastOne(ttl)), call)
  }

  /** Keyv and its adapters answer with a boolean, an array of them, or nothing. */
  #checkWritten(result: unknown, call: Call): void {
    const isRefused = [result].flat().includes(false)
    if (call.failed || isRefused) throw call.error ?? new Error('it was refused')
    this.#checkUndisturbed(call)
  }

  /**
   * Deletes in one round trip where the store can.
   * @throws {StoreUnavailableError} when one of them failed; the others may have been deleted
   */
  async delete(keys: readonly string[]): Promise<void> {
    await this.#call('delete', async (call) => {
      await this.#delete(keys)
      if (call.failed) throw call.error
      if (isProven(this.#keyv)) return
      this.#checkUndisturbed(call)
      const left = await this.#readCarefully(keys, call)
      if (left.some((value) => value !== undefined)) throw new Error('what was deleted is still there')
    })
  }

  #delete(keys: readonly string[]): Promise<unknown> {
    const [key, ...more] = keys
    if (key !== undefined && more.length === 0) return this.#keyv.delete(key)
    return this.#keyv.deleteMany?.([...keys]) ?? Promise.all(keys.map((each) => this.#keyv.delete(each)))
  }

  /** Proven adapters tell each call of its own failure: that some other connection is lost is not theirs. */
  #checkUndisturbed(call: Call): void {
    if (call.disturbed && !isProven(this.#keyv)) throw call.disturbance
  }

  /** Under other keys nobody would be signed in, and an eviction would find nothing. */
  #checkPrefixes(): void {
    if (prefixesOf(this.#keyv).every((each, index) => each === this.#prefixes[index])) return
    throw new ConfigurationError(
      "the store's namespace or key prefix has changed since it was given: another Keyv was made with its adapter, " +
        'which writes its namespace into it; make an adapter of its own for each Keyv',
    )
  }

  async #call<Result>(
    operation: StoreUnavailableError['operation'],
    run: (call: Call) => Promise<Result>,
    timeout: number = this.#timeout,
  ): Promise<Result> {
    this.#checkPrefixes()
    const call = newCall()
    const { made, attempt } = this.#connection()
    const { promise, resolve, reject } = Promise.withResolvers<Result>()
    const expire = () => {
      const cause = call.error ?? (attempt.ended ? undefined : attempt.error) ?? call.disturbance
      reject(new StoreUnavailableError(operation, { timedOut: true, cause }))
    }
    // After a blocked event loop, timers come before sockets, and an immediate after both: an answer that is there counts.
    const timer = setTimeout(() => setImmediate(expire), timeout)
    this.#listened.inFlight.add(call)
    try {
      calls.run(call, () => made.then(() => run(call)).then(resolve, reject))
      return await promise
    } catch (error) {
      if (error instanceof StoreUnavailableError || error instanceof ConfigurationError) throw error
      throw new StoreUnavailableError(operation, { timedOut: false, cause: error })
    } finally {
      call.ended = true
      this.#listened.inFlight.delete(call)
      clearTimeout(timer)
    }
  }

  /**
   * The first connection, shared by all who wait for it: @keyv/redis takes a client that is still connecting for
   * a connected one, so that concurrent first calls fail, or are answered with misses on a Redis Cluster.
   */
  #connection(): Connection {
    const known = this.#listened.connection
    if (known !== undefined) return known
    const attempt = newCall()
    const made = calls.run(attempt, () => this.#connect(attempt))
    made.catch(() => {
      this.#listened.connection = undefined
    })
    const connection = { made, attempt }
    this.#listened.connection = connection
    return connection
  }

  async #connect(attempt: Call): Promise<void> {
    try {
      await adapterOf(this.#keyv)?.getClient?.()
    } catch (error) {
      // The adapter's own error says no more than that it failed.
      throw attempt.error ?? error
    } finally {
      attempt.ended = true
    }
  }
}

function isMoved(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('MOVED ')
}

function atLeastOne(ttl: number): number {
  return Math.max(1, Math.ceil(ttl))
}

/** What is known of a Keyv, whose `error` events are attributed from now on. */
function listen(keyv: KeyvLike): Listened {
  const known = stores.get(keyv)
  if (known !== undefined) return known
  const inFlight = new Set<Call>()
  const listened = { inFlight, connection: undefined }
  stores.set(keyv, listened)
  keyv.on('error', (error) => attributeError(error, inFlight))
  return listened
}

function attributeError(error: unknown, inFlight: ReadonlySet<Call>): void {
  const call = calls.getStore()
  // A socket opened within a call inherits its context for life; later errors are not that call's.
  if (call === undefined || call.ended) {
    for (const each of inFlight) {
      each.disturbed = true
      each.disturbance ??= error
    }
    return
  }
  call.failed = true
  call.error ??= error
}

function newCall(): Call {
  return { failed: false, error: undefined, disturbed: false, disturbance: undefined, ended: false }
}

/** Clears a failure that was handled. */
function forget(call: Call): void {
  Object.assign(call, { failed: false, error: undefined })
}

/** Nobody waits for the call any more: it does nothing else to the store. */
function checkNotGivenUp({ ended }: Call): void {
  if (ended) throw new Error('the call was given up on')
}
