import { type SigningKey, signingKey } from '../../test/logout/provider.ts'
import { EntraStandIn, type User } from '../../test/support/entra.ts'
import type { Commands, Counts, Spec } from './commands.ts'
import { makers } from './contenders/index.ts'
import { cacheOf } from './contenders/together.ts'
import { Counter } from './counter.ts'
import { Entry, makeUsers } from './entry.ts'
import { type Library, loadLibrary } from './library.ts'
import { openStore, type Store, type StoreAddress } from './stores.ts'
import type { Turn } from './turn.ts'

/** How many calls are counted. */
const COUNTED = 4

/** One process's part in the measuring of one group. */
export class Stage implements Commands {
  readonly #entra = new EntraStandIn()
  readonly #stores = new Map<string, Store>()
  #parts: { spec: Spec; library: Library; users: User[] } | undefined
  #entries: Entry[] = []
  #key: Promise<SigningKey> | undefined

  async open(spec: Spec): Promise<void> {
    const most = Math.max(...spec.entrants.map(({ accounts }) => accounts))
    const library = await loadLibrary(spec.library)
    const users = makeUsers(this.#entra, Math.min(spec.served, most))
    this.#parts = { spec, library, users }
    for (const [index, { address, accounts }] of spec.entrants.entries()) {
      const entry = this.#entry(index, await this.#store(address), users.slice(0, accounts))
      entry.assumePopulated()
      this.#entries.push(entry)
    }
  }

  async populate(): Promise<void> {
    const { spec, users } = this.#opened()
    const record = JSON.stringify({ value: await cacheOf(this.#entra, this.#entra.user()) })
    const filled = new Set<Store>()
    for (const [index, { address, accounts }] of spec.entrants.entries()) {
      const store = await this.#store(address)
      if (!filled.has(store)) await store.fill(Math.max(0, accounts - users.length), record)
      filled.add(store)
      await this.#entries[index]?.populate(accounts)
    }
  }

  async count(index: number): Promise<Counts> {
    const { spec } = this.#opened()
    const { operation, entrants } = spec
    const counter = new Counter()
    const address = entrants[index]?.address ?? fail(index)
    const store = await openStore(address, counter)
    const entry = this.#entry(index, store, makeUsers(this.#entra, COUNTED))
    // The first ones do what later ones need not: connect, and fill caches.
    for (const call of await entry.arrange(operation, COUNTED)) await call()
    const calls = await entry.arrange(operation, COUNTED)
    const wire = await trafficOf(store, async () => {
      counter.reset()
      for (const call of calls) await call()
    })
    const bytes = counter.calls === 0 ? 0 : (wire ?? counter.bytes)
    const counts = { storeCalls: counter.calls / COUNTED, bytes: bytes / COUNTED }
    await entry.signOutAll()
    await store.close()
    return counts
  }

  async turn(index: number, milliseconds: number): Promise<Turn> {
    const { operation, concurrency } = this.#opened().spec
    const entry = this.#entries[index] ?? fail(index)
    const turn = await entry.turn(operation, milliseconds, concurrency)
    for (const store of this.#stores.values()) store.check()
    return turn
  }

  async serve(index: number): Promise<{ before: number; after: number }> {
    const { users, spec } = this.#opened()
    const entry = this.#entries[index] ?? fail(index)
    // What a process needs once is not counted.
    await entry.turn(spec.operation, 0, 1)
    const before = heapInUse()
    for (let served = 0; served < users.length; served++) {
      for (const call of await entry.arrange(spec.operation, 1)) await call()
    }
    return { before, after: heapInUse() }
  }

  async close(): Promise<void> {
    for (const store of this.#stores.values()) await store.close()
    this.#stores.clear()
  }

  #entry(index: number, store: Store, users: readonly User[]): Entry {
    const { spec, library } = this.#opened()
    const { contender, sealed } = spec.entrants[index] ?? fail(index)
    const name = sealed ? `${contender}-sealed` : contender
    const encryptionKeys = sealed ? spec.encryptionKeys : undefined
    const parts = { library, entra: this.#entra, store, name, encryptionKeys, signingKey: this.#signingKey }
    return new Entry(makers[contender](parts), users)
  }

  async #store(address: StoreAddress): Promise<Store> {
    const id = JSON.stringify(address)
    const store = this.#stores.get(id) ?? (await openStore(address))
    this.#stores.set(id, store)
    return store
  }

  readonly #signingKey = (): Promise<SigningKey> => {
    this.#key ??= signingKey('bench')
    return this.#key
  }

  #opened() {
    return this.#parts ?? fail(0)
  }
}

/** What the server has received and sent meanwhile, less what asking it takes. */
async function trafficOf(store: Store, run: () => Promise<void>): Promise<number | undefined> {
  const [first, second] = [await store.traffic(), await store.traffic()]
  await run()
  const third = await store.traffic()
  if (first === undefined || second === undefined || third === undefined) return undefined
  return Math.max(0, third - second - (second - first))
}

function heapInUse(): number {
  // Twice: what the first finds no longer used may have kept something else.
  for (let n = 0; n < 2; n++) globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function fail(index: number): never {
  throw new Error(`there is no entrant ${index}, or no spec yet`)
}
