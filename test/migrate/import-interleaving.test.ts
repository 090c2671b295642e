import { Keyv } from 'keyv'
import { describe, expect, test } from 'vitest'
import type { HostSession, KeyvCachePlugin } from '../../src/index.ts'
import type { ImportReport } from '../../src/migrate/index.ts'
import { CLIENT_ID, EntraStandIn, type User } from '../support/entra.ts'
import { type Choose, everyOrder, Schedule } from '../support/explorer.ts'
import { LIBRARY, type Library } from '../support/import-host.ts'
import { mutant } from '../support/mutant.ts'
import type { MutantName } from '../support/mutants.ts'
import { steppedAdapter } from '../support/stepped-adapter.ts'
import { isStored } from '../support/stored.ts'

/** Thrown where something is wrong, with the order that led there. */
class Violation extends Error {}

/**
 * One account in two old records, and processes that import, evict and sign in at once over one store, in which every
 * read and write of the account waits for its turn.
 */
class World {
  readonly entra = new EntraStandIn({ size: 'small' })
  readonly user: User = this.entra.user()
  readonly schedule: Schedule
  readonly #library: Library
  readonly #map = new Map<string, string>()

  constructor(library: Library, choose: Choose) {
    this.#library = library
    this.schedule = new Schedule(choose)
  }

  /** An old record: another one each time. */
  async record(): Promise<string> {
    const client = this.entra.client()
    await this.entra.signIn(client, this.user)
    return client.getTokenCache().serialize()
  }

  /** A process, whose steps wait for their turn; without a name they do not. */
  process(name?: string): KeyvCachePlugin {
    const isStepped = () => name !== undefined
    const adapter = steppedAdapter(this.#map, { schedule: this.schedule, actor: `${name}`, isStepped })
    return new this.#library.KeyvCachePlugin({ store: new Keyv({ store: adapter }), clientId: CLIENT_ID })
  }

  begins(name: string): Promise<void> {
    return this.schedule.step(name, 'begins', () => {})
  }

  import(process: KeyvCachePlugin, record: string): Promise<ImportReport> {
    return this.#library.importCache(process, record)
  }

  async signIn(process: KeyvCachePlugin): Promise<HostSession> {
    return process.openSession(await this.entra.signIn(this.entra.client(process), this.user))
  }

  isSignedIn(as: HostSession | User = this.user): Promise<boolean> {
    return isStored(this.process(), as)
  }

  /** Where in the order a step was made last, or never: -1. */
  last(step: string): number {
    return this.schedule.trace.lastIndexOf(step)
  }

  check(isFine: boolean, what: string): void {
    if (!isFine) throw new Violation(`${what}\n  ${this.schedule.trace.join('\n  ')}`)
  }
}

function generationIn({ imported, skipped }: ImportReport): string | undefined {
  const [account] = [...imported, ...skipped]
  return account !== undefined && 'generation' in account ? account.generation : undefined
}

const reasonIn = ({ skipped }: ImportReport) => skipped[0]?.reason

/** Two processes import one account, from two records. */
function twoImports(library: Library): Promise<number> {
  return everyOrder(async (choose) => {
    const world = new World(library, choose)
    const records = [await world.record(), await world.record()]
    const imports = records.map((record, index) => world.import(world.process(`import-${index}`), record))
    await world.schedule.run()
    const { homeAccountId } = world.user
    for (const report of await Promise.all(imports)) {
      const generation = generationIn(report) ?? ''
      world.check(await world.isSignedIn({ homeAccountId, generation }), 'a report names what is not stored')
    }
  })
}

/** A process imports what another one evicts. */
function importAndEvict(library: Library): Promise<number> {
  return everyOrder(async (choose) => {
    const world = new World(library, choose)
    const record = await world.record()
    let isEvicted = false
    const importing = world.import(world.process('import'), record)
    const evicting = world.process('evict').evictAccount(world.user.homeAccountId)
    void evicting.then(() => {
      isEvicted = true
    })
    await world.schedule.run(async () => {
      if (isEvicted) world.check(!(await world.isSignedIn()), 'an evicted account is signed in')
    })
    const report = await importing
    world.check(isEvicted && !(await world.isSignedIn()), 'an evicted account is signed in')
    const wasSeen = world.last('evict writes g') < world.last('import reads g')
    if (wasSeen) world.check(reasonIn(report) === 'evicted', 'the report does not say that it is evicted')
    const again = await world.import(world.process(), record)
    world.check(reasonIn(again) === 'evicted', 'an evicted account is imported')
  })
}

/** A process imports an account that signs in meanwhile, on another server or on the same one. */
function importAndSignIn(library: Library, isSameProcess: boolean): Promise<number> {
  return everyOrder(async (choose) => {
    const world = new World(library, choose)
    const record = await world.record()
    const importer = world.process('import')
    const signer = isSameProcess ? importer : world.process('sign-in')
    // In one process, the order in which they begin is the order of the account's lock.
    const begins = isSameProcess ? (name: string) => world.begins(name) : () => Promise.resolve()
    const importing = begins('import').then(() => world.import(importer, record))
    const signingIn = begins('sign-in').then(() => world.signIn(signer))
    await world.schedule.run()
    const [report, session] = await Promise.all([importing, signingIn])
    world.check(await world.isSignedIn(), 'nobody is signed in')
    const wasReplaced = !isSameProcess && world.last('sign-in writes p') < world.last('import writes p')
    if (!wasReplaced) world.check(await world.isSignedIn(session), 'the new sign-in has ended')
    if (reasonIn(report) === 'stored') {
      world.check(generationIn(report) === session.generation, 'the report names another sign-in')
    }
  })
}

describe('in every order there is', () => {
  test('two processes that import one account report the one generation that it has', async () => {
    expect(await twoImports(LIBRARY)).toBeGreaterThan(100)
  })

  test('an account that is evicted while it is imported is evicted', async () => {
    expect(await importAndEvict(LIBRARY)).toBeGreaterThan(20)
  })

  test('a sign-in on the same server wins over an import', async () => {
    expect(await importAndSignIn(LIBRARY, true)).toBeGreaterThan(10)
  })

  // The price of a store without compare-and-set: see docs/promises.md.
  test('a sign-in on another server wins, unless an import that saw nothing of it writes last', async () => {
    expect(await importAndSignIn(LIBRARY, false)).toBeGreaterThan(100)
  })
})

describe('broken on purpose, the violation is found', () => {
  const MUTANTS: [name: MutantName, found: (library: Library) => unknown][] = [
    ['import: a generation for each', twoImports],
    ['import: evictions ignored', importAndEvict],
    ['import: no look afterwards', importAndEvict],
    ['import: what is stored is replaced', (library) => importAndSignIn(library, true)],
  ]

  test.each(MUTANTS)('%s', async (name, found) => {
    const broken = await mutant<Library>(name)
    await expect(found(broken)).rejects.toThrow(Violation)
  })
})
