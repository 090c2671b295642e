import { AsyncResource } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'

export interface AwkwardOptions {
  /** What it does with a failure: hands it on, or answers as if there were nothing. */
  readonly failures?: 'thrown' | 'swallowed'
  /** Whether an `error` event says so too: after the answer, and from a socket's context. */
  readonly emitsLate?: boolean
}

/**
 * A storage adapter with all the bad habits that were found in others, over rows that outlive it. A batch is read by
 * `Promise.allSettled`, and comes in the order of the rows. Writes and deletions answer `true`, done or not.
 */
export class AwkwardAdapter extends EventEmitter {
  readonly opts = {}
  namespace: string | undefined
  /** The store is out of reach. */
  down = false
  /** Runs before each request is carried out. */
  before: (request: string) => unknown = () => {}
  readonly #rows: Map<string, unknown>
  readonly #options: AwkwardOptions
  readonly #socket = new AsyncResource('AwkwardSocket')

  constructor(rows: Map<string, unknown>, options: AwkwardOptions = {}) {
    super()
    this.#rows = rows
    this.#options = options
  }

  get(key: string): Promise<unknown> {
    return this.#request('get', () => this.#rows.get(key), undefined)
  }

  async getMany(keys: readonly string[]): Promise<unknown[]> {
    const inOrderOfRows = [...this.#rows.keys()].filter((key) => keys.includes(key))
    const missing = keys.filter((key) => !inOrderOfRows.includes(key))
    const settled = await Promise.allSettled([...inOrderOfRows, ...missing].map((key) => this.get(key)))
    return settled.map((each) => (each.status === 'fulfilled' ? each.value : undefined))
  }

  set(key: string, value: unknown): Promise<boolean> {
    return this.#request('set', () => Boolean(this.#rows.set(key, value)), true)
  }

  delete(key: string): Promise<boolean> {
    return this.#request('delete', () => this.#rows.delete(key), true)
  }

  async clear(): Promise<void> {
    throw new Error('never to be called')
  }

  /** Something goes wrong on the connection, and with no request in particular. */
  disturb(): void {
    this.#socket.runInAsyncScope(() => this.emit('error', new Error('the connection is lost')))
  }

  async #request<Answer>(request: string, carryOut: () => Answer, otherwise: Answer): Promise<Answer> {
    await turn()
    await this.before(request)
    if (!this.down) return carryOut()
    if (this.#options.emitsLate) this.#socket.runInAsyncScope(setImmediate, undefined, () => this.disturb())
    if (this.#options.failures === 'thrown') throw new Error('the store is out of reach')
    return otherwise
  }
}
