import { types } from 'node:util'

/** The methods of Keyv, of its adapters and of node-redis that take a trip to the store. */
const TRIPS: ReadonlySet<string | symbol> = new Set([
  ...['get', 'getMany', 'getRaw', 'getManyRaw', 'has', 'hasMany', 'mGet'],
  ...['set', 'setMany', 'setRaw', 'setManyRaw', 'delete', 'deleteMany', 'del', 'unlink'],
])

/** Counts what goes to a store and comes back. */
export class Counter {
  calls = 0
  bytes = 0

  reset(): void {
    this.calls = 0
    this.bytes = 0
  }

  /** A store as the measured code sees it: each of its calls counts, those of the adapter it gives out too. */
  countingCalls<Client extends object>(client: Client): Client {
    return new Proxy(client, {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property, target)
        // Maps are told from other adapters by what a proxy is not.
        if (types.isMap(value)) return value
        if (property === 'store' && typeof value === 'object' && value !== null) {
          return this.countingCalls(value)
        }
        if (typeof value !== 'function') return value
        if (!TRIPS.has(property)) return value.bind(target)
        return (...parameters: unknown[]) => {
          this.calls++
          return Reflect.apply(value, target, parameters)
        }
      },
    })
  }

  /** A store as its client sees it: what it is given and what it answers counts. */
  countingBytes<Adapter extends object>(adapter: Adapter): Adapter {
    return new Proxy(adapter, {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property, target)
        if (typeof value !== 'function') return value
        if (!TRIPS.has(property)) return value.bind(target)
        return (...parameters: unknown[]) => {
          this.bytes += bytesOf(parameters)
          const answer: unknown = Reflect.apply(value, target, parameters)
          if (answer instanceof Promise) return answer.then((result) => this.#counted(result))
          return this.#counted(answer)
        }
      },
    })
  }

  #counted<Answer>(answer: Answer): Answer {
    this.bytes += bytesOf(answer)
    return answer
  }
}

/** A copy of a Map that counts what it is given and answers. */
export class CountingMap extends Map<string, unknown> {
  readonly #counter: Counter

  constructor(counter: Counter, entries: Iterable<readonly [string, unknown]> = []) {
    super()
    this.#counter = counter
    for (const [key, value] of entries) super.set(key, value)
  }

  override get(key: string): unknown {
    const value = super.get(key)
    this.#counter.bytes += bytesOf([key, value])
    return value
  }

  override set(key: string, value: unknown): this {
    this.#counter.bytes += bytesOf([key, value])
    return super.set(key, value)
  }

  override delete(key: string): boolean {
    this.#counter.bytes += bytesOf(key)
    return super.delete(key)
  }
}

function bytesOf(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (Array.isArray(value)) return value.reduce((sum: number, each) => sum + bytesOf(each), 0)
  return 0
}
