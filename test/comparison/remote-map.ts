import { setImmediate as nextTurn } from 'node:timers/promises'

export type Latency = 'steady' | 'irregular'

/**
 * A Map at the end of a network, as MSAL's cache client and as Keyv's storage adapter. A steady one answers in the
 * next turn of the event loop; an irregular one in one to four turns, in a fixed sequence, so that concurrent calls
 * overtake each other as they do in the field and every run is the same.
 */
export class RemoteMap {
  readonly entries = new Map<string, string>()
  readonly #latency: Latency
  #calls = 0

  constructor(latency: Latency = 'steady') {
    this.#latency = latency
  }

  async get(key: string): Promise<string | undefined> {
    await this.#travel()
    return this.entries.get(key)
  }

  async getMany(keys: string[]): Promise<(string | undefined)[]> {
    await this.#travel()
    return keys.map((key) => this.entries.get(key))
  }

  async set(key: string, value: string): Promise<string> {
    await this.#travel()
    this.entries.set(key, value)
    return 'OK'
  }

  async delete(key: string): Promise<boolean> {
    await this.#travel()
    return this.entries.delete(key)
  }

  async clear(): Promise<void> {
    this.entries.clear()
  }

  async #travel(): Promise<void> {
    const turns = this.#latency === 'steady' ? 1 : 1 + ((this.#calls++ * 3) % 4)
    for (let turn = 0; turn < turns; turn++) await nextTurn()
  }
}
