import fc from 'fast-check'
import Keyv from 'keyv'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { KeyvCachePlugin } from '../../src/index.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn, type User } from '../support/entra.ts'
import { type Choose, type Commute, everyOrder, Schedule } from '../support/explorer.ts'
import { LONG, length } from '../support/length.ts'
import { mutant } from '../support/mutant.ts'
import { drawSeed } from '../support/seed.ts'
import { steppedAdapter } from '../support/stepped-adapter.ts'
import { isStored } from '../support/stored.ts'

type Plugin = typeof KeyvCachePlugin
type Actor = 'refresh-1' | 'refresh-2' | 'evict-1' | 'evict-2' | 'sign-in' | 'read-1' | 'read-2' | 'time'

const RANDOM_ORDERS = length({ short: 150, long: 5_000 })

/** Past the end of life of every generation record: 90 days and an hour. */
const END_OF_LIFE = (90 * 24 + 1) * 60 * 60 * 1000 + 1

/** Thrown where a promise is broken, with the order that broke it. */
class Violation extends Error {}

/**
 * One account, and processes that do things to it at once, each with its own plugin and real MSAL Node, over one
 * store in which every single read and write waits for its turn, those of a `getMany` included.
 */
class World {
  readonly #Plugin: Plugin
  readonly #map = new Map<string, string>()
  readonly #entra = new EntraStandIn({ size: 'small' })
  readonly #user: User
  readonly #schedule: Schedule
  readonly #oldChain = 1
  readonly #crashed = new Set<Actor>()
  /** Belongs to no generation, since nobody reads through it. */
  readonly #watcher: KeyvCachePlugin
  #evictionsBegun = 0
  #evictionsResolved = 0

  constructor(Plugin: Plugin, schedule: Schedule) {
    this.#Plugin = Plugin
    this.#schedule = schedule
    this.#user = this.#entra.user()
    this.#watcher = this.#plugin()
  }

  async play(actors: readonly Actor[]): Promise<void> {
    await this.#entra.signIn(this.#entra.client(this.#plugin()), this.#user)
    const running: { actor: Actor; done: Promise<unknown> }[] = []
    for (const actor of actors) {
      const { done } = await this.#begin(actor)
      // It is awaited at the end; until then, or after a crash, nobody handles its failure.
      done.catch(() => {})
      running.push({ actor, done })
    }
    const isOver = await this.#schedule.run(() => this.#checkStore())
    if (!isOver) return
    for (const { actor, done } of running) if (!this.#crashed.has(actor)) await done
    await this.#checkStore()
  }

  /** The actor's process dies before its next step. */
  crash(actor: Actor): void {
    this.#crashed.add(actor)
    this.#schedule.crash(actor)
  }

  /** Resolves when the actor is under way; its `done` when it has finished. */
  async #begin(actor: Actor): Promise<{ done: Promise<unknown> }> {
    switch (actor) {
      case 'refresh-1':
      case 'refresh-2': {
        // Begins with the request to the provider on its way: the first load is done.
        const stepped = this.#stepped(actor)
        const client = this.#entra.client(this.#plugin(stepped.keyv).forAccount(this.#user))
        const held = this.#entra.hold(({ grant }) => grant === 'refresh_token')
        const done = acquireSilently(client, this.#user.homeAccountId, { forceRefresh: true })
        await held.arrived
        stepped.begin()
        void this.#schedule.step(actor, 'response', held.release)
        return { done }
      }
      case 'evict-1':
      case 'evict-2': {
        const stepped = this.#stepped(actor)
        stepped.begin()
        const started = this.#schedule.step(actor, 'begins', () => this.#evictionsBegun++)
        const eviction = started.then(() => this.#plugin(stepped.keyv).evictAccount(this.#user.homeAccountId))
        return { done: eviction.then(() => this.#evictionsResolved++) }
      }
      case 'sign-in': {
        const stepped = this.#stepped(actor)
        stepped.begin()
        const client = this.#entra.client(this.#plugin(stepped.keyv))
        const started = this.#schedule.step(actor, 'begins', () => this.#evictionsBegun)
        const done = started.then(async (begunBefore) => {
          const begunAt = Date.now()
          const undisturbed = begunBefore > 0 && begunBefore === this.#evictionsResolved
          await this.#entra.signIn(client, this.#user)
          const inTime = Date.now() - begunAt < END_OF_LIFE
          if (undisturbed && inTime && begunBefore === this.#evictionsBegun) await this.#checkNewSignIn()
        })
        return { done }
      }
      case 'read-1':
      case 'read-2': {
        const stepped = this.#stepped(actor)
        stepped.begin()
        const started = this.#schedule.step(actor, 'begins', () => this.#isEvicted)
        const done = started.then(async (wasEvicted) => {
          const seen = await this.#chainsSeenBy(this.#plugin(stepped.keyv))
          if (wasEvicted && seen.has(this.#oldChain)) this.#violation('P3: a reader saw the evicted chain')
        })
        return { done }
      }
      case 'time':
        return {
          done: this.#schedule.step(actor, 'passes', () => vi.setSystemTime(Date.now() + END_OF_LIFE)),
        }
    }
  }

  get #isEvicted(): boolean {
    return this.#evictionsResolved > 0
  }

  /** P3, in the state as it is: no load that begins now yields the evicted sign-in. */
  async #checkStore(): Promise<void> {
    if (!this.#isEvicted || !(await isStored(this.#watcher, this.#user))) return
    const stored = this.#entra.tokensIn([...this.#map.values()].join())
    if (stored.some(({ chain }) => chain === this.#oldChain))
      this.#violation('P3: the evicted chain can be loaded')
  }

  /** P5: what signs in after an eviction has resolved can be loaded as soon as it has. */
  async #checkNewSignIn(): Promise<void> {
    if (!(await this.#chainsSeenBy(this.#plugin())).size) this.#violation('P5: the new sign-in is not there')
  }

  async #chainsSeenBy(plugin: KeyvCachePlugin): Promise<Set<number>> {
    const cache = this.#entra.client(plugin.forAccount(this.#user)).getTokenCache()
    await cache.getAllAccounts()
    const memory = JSON.stringify(Object.values(cache.getKVStore()))
    return new Set(this.#entra.tokensIn(memory).map(({ chain }) => chain))
  }

  #violation(what: string): never {
    throw new Violation(`${what}\n  ${this.#schedule.trace.join('\n  ')}`)
  }

  #plugin(keyv = new Keyv({ store: this.#map })): KeyvCachePlugin {
    return new this.#Plugin({ store: keyv, clientId: CLIENT_ID, ttl: 90 * 24 * 60 * 60 * 1000 })
  }

  /** A connection of one process, whose steps wait for their turn once it has begun. */
  #stepped(actor: Actor): { keyv: Keyv; begin: () => void } {
    let begun = false
    const adapter = steppedAdapter(this.#map, {
      schedule: this.#schedule,
      actor,
      isStepped: () => begun,
    })
    const begin = () => {
      begun = true
    }
    return { keyv: new Keyv({ store: adapter }), begin }
  }
}

async function play(Plugin: Plugin, actors: readonly Actor[], choose: Choose): Promise<void> {
  await new World(Plugin, new Schedule(choose)).play(actors)
}

/**
 * Reads change nothing that another actor or a check sees, and a read of one record does not see what happens to
 * another one. An answer of the provider is nobody else's. All depends on the time.
 */
const commute: Commute = (one, other) => {
  const [first, second] = [one, other].map(({ label }) => label)
  if (first === 'passes' || second === 'passes') return false
  if (first === 'response' || second === 'response') return true
  const reads = [one, other].filter(({ label }) => label.startsWith('reads'))
  return reads.length === 2 || (reads.length === 1 && first?.at(-1) !== second?.at(-1))
}

/** In a long run, orders that differ only in steps that commute are all taken. */
function everyOrderOf(Plugin: Plugin, actors: readonly Actor[]): Promise<number> {
  return everyOrder((choose) => play(Plugin, actors, choose), LONG ? undefined : commute)
}

const TOGETHER: Actor[][] = [
  ['refresh-1', 'evict-1', 'read-1'],
  ['refresh-1', 'evict-1', 'sign-in'],
  ['refresh-1', 'refresh-2', 'evict-1'],
  ['refresh-1', 'evict-1', 'evict-2'],
  ['refresh-1', 'evict-1', 'time'],
  ['sign-in', 'evict-1', 'time'],
]
const EVERYBODY: Actor[] = ['refresh-1', 'refresh-2', 'evict-1', 'evict-2', 'sign-in', 'read-1', 'read-2']

/** The whole cast in orders drawn at random, where one of them may crash between any two steps. */
async function playAtRandom(Plugin: Plugin, runs: number): Promise<void> {
  const crash = fc.option(fc.record({ actor: fc.constantFrom(...EVERYBODY), step: fc.nat({ max: 30 }) }))
  const choices = fc.array(fc.nat({ max: 1 << 16 }), { minLength: 40, maxLength: 40 })
  const property = fc.asyncProperty(choices, crash, async (drawn, crashing) => {
    let steps = 0
    const schedule = new Schedule((alternatives) => (drawn[steps++] ?? 0) % alternatives.length)
    const world = new World(Plugin, schedule)
    schedule.beforeStep = () => {
      if (crashing !== null && schedule.trace.length === crashing.step) world.crash(crashing.actor)
    }
    await world.play(EVERYBODY)
  })
  await fc.assert(property, { numRuns: runs, seed: drawSeed() })
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] })
})
afterEach(() => {
  vi.useRealTimers()
})

describe('P3 and P5 in every order there is', () => {
  test.each(TOGETHER.map((actors) => [actors.join(', '), actors] as const))('%s', async (_, actors) => {
    const orders = await everyOrderOf(KeyvCachePlugin, actors)
    expect(orders).toBeGreaterThan(10)
  })
})

test(`P3 and P5 in ${RANDOM_ORDERS} random orders of everybody, with crashes`, async () => {
  await playAtRandom(KeyvCachePlugin, RANDOM_ORDERS)
})

describe('broken on purpose, the violation is found', () => {
  test('generation ignored', async () => {
    const broken = await mutant('generation ignored')
    await expect(everyOrderOf(broken.KeyvCachePlugin, ['refresh-1', 'evict-1'])).rejects.toThrow(Violation)
  })

  test('pin taken from the last load instead of the first', async () => {
    const broken = await mutant('pin follows the store')
    await expect(everyOrderOf(broken.KeyvCachePlugin, ['refresh-1', 'evict-1', 'sign-in'])).rejects.toThrow(
      Violation,
    )
  })

  test('deleted before it is fenced', async () => {
    const broken = await mutant('deleted without a fence')
    await expect(playAtRandom(broken.KeyvCachePlugin, 200)).rejects.toHaveProperty(
      'cause',
      expect.any(Violation),
    )
  })

  test('a new sign-in that does not adopt the generation', async () => {
    const broken = await mutant('sign-in does not adopt the generation')
    await expect(everyOrderOf(broken.KeyvCachePlugin, ['evict-1', 'sign-in'])).rejects.toThrow('P5')
  })
})
