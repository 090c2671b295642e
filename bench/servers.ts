import { join } from 'node:path'
import { findProgram, makeFolder, removeFolder } from '../test/support/programs.ts'
import { RedisServer } from '../test/support/redis-server.ts'
import { isRedis, type StoreKind } from './contenders.ts'
import type { Entrant } from './results.ts'
import type { StoreAddress } from './worker/stores.ts'

/** Whether what a store needs is installed. */
export function isAvailable(store: StoreKind): boolean {
  return !isRedis(store) || findProgram('redis-server') !== undefined
}

/** The stores of one group, started empty: one for each kind and number of accounts. */
export class Servers {
  readonly #started = new Map<string, Promise<StoreAddress>>()
  readonly #stops: (() => Promise<void>)[] = []

  addressFor({ store, accounts }: Entrant): Promise<StoreAddress> {
    const name = `${store} ${accounts}`
    const address = this.#started.get(name) ?? this.#start(store, name)
    this.#started.set(name, address)
    return address
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops.splice(0)) await stop()
    this.#started.clear()
  }

  async #start(kind: StoreKind, name: string): Promise<StoreAddress> {
    if (kind === 'map') return { kind, name }
    if (kind === 'sqlite') {
      const folder = await makeFolder()
      this.#stops.push(() => removeFolder(folder))
      return { kind, file: join(folder, 'tokens.sqlite') }
    }
    const server = await RedisServer.start()
    this.#stops.push(() => server.stop())
    return { kind, url: server.url }
  }
}
