import { createClient } from '@keyv/redis'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ConfidentialClients, type EncryptionKey, generateEncryptionKey } from '../../src/index.ts'
import { redis } from '../contract/stores/redis.ts'

import { Child } from '../support/child.ts'
import { EntraStandIn } from '../support/entra.ts'

import { kindOf } from '../support/every-flow.ts'
import { LONG, length } from '../support/length.ts'
import { missingProgram } from '../support/programs.ts'
import { answer, type TokenAnswer, type TokenRequest } from '../support/token-answer.ts'
import type { TokenProcessSettings } from '../support/token-process.ts'

const SERVERS = 3
const USERS = length({ short: 4, long: 9 })

type Deployment = Pick<TokenProcessSettings, 'encryptionKeys' | 'allowPlaintext'>

/** One of the application's servers. */
interface Server {
  ask(homeAccountId: string, forceRefresh: boolean): Promise<TokenAnswer>
  end(): Promise<void>
}

/** In a long run each server is a process, as in production; else it is a connection and a plugin of its own here. */
function startServer(entra: EntraStandIn, deployment: Deployment): Promise<Server> {
  return LONG ? startServerProcess(entra, deployment) : startServerHere(entra, deployment)
}

async function startServerHere(entra: EntraStandIn, deployment: Deployment): Promise<Server> {
  const store = await redis.open()
  const msal = new ConfidentialClients(entra.configuration(), { ...deployment, store })
  return {
    ask: (homeAccountId, forceRefresh) => answer(msal, { homeAccountId, forceRefresh }),
    end: async () => {},
  }
}

/** A server in a process of its own. */
async function startServerProcess(entra: EntraStandIn, deployment: Deployment): Promise<Server> {
  const address = redis.address()
  if (address === undefined) throw new Error('no Redis')
  const settings: TokenProcessSettings = { address, ...deployment }
  const script = new URL('../support/token-process.ts', import.meta.url)
  const child = await Child.start<TokenRequest, TokenAnswer>(script, settings, { provider: entra })
  return {
    ask: (homeAccountId, forceRefresh) => child.ask({ homeAccountId, forceRefresh }),
    end: () => child.end(),
  }
}

/** Servers behind a load balancer that sends no request to one that is being restarted. */
class Fleet {
  readonly #entra: EntraStandIn
  readonly #users: readonly string[]
  readonly #serving = new Map<Server, { stop: boolean; served: number; done: Promise<void> }>()
  #looking: (() => void)[] = []
  readonly counts = { hits: 0, refreshes: 0, signOuts: 0, errors: [] as string[] }

  constructor(entra: EntraStandIn, users: readonly string[]) {
    this.#entra = entra
    this.#users = users
  }

  async start(deployment: Deployment): Promise<void> {
    await Promise.all(Array.from({ length: SERVERS }, () => this.#startOne(deployment)))
  }

  /** Restarts one server after the other, while all that are up go on serving. */
  async deploy(deployment: Deployment): Promise<void> {
    for (const server of [...this.#serving.keys()]) await this.#restart(server, deployment)
  }

  /** Restarts one server only. */
  async deployOne(deployment: Deployment): Promise<void> {
    const [server] = this.#serving.keys()
    if (server) await this.#restart(server, deployment)
  }

  async #restart(server: Server, deployment: Deployment): Promise<void> {
    await this.#endOne(server)
    await this.#startOne(deployment)
    await this.served()
  }

  /** Starts new servers beside the old ones, and sends all requests to them at once. */
  async replace(deployment: Deployment): Promise<void> {
    const old = [...this.#serving.keys()]
    const started = Array.from({ length: SERVERS }, () => startServer(this.#entra, deployment))
    const fresh = await Promise.all(started)
    await Promise.all(old.map((server) => this.#endOne(server)))
    for (const server of fresh) this.#serve(server)
    await this.served()
  }

  /** Resolves once every server has served every user twice more, and refreshed some user's tokens. */
  async served(): Promise<void> {
    const goals = [...this.#serving].map(([server, { served }]) => [server, served + 2 * USERS] as const)
    for (const [server, goal] of goals) {
      while ((this.#serving.get(server)?.served ?? goal) < goal) {
        await new Promise<void>((resolve) => this.#looking.push(resolve))
      }
    }
  }

  /** Every user's tokens are refreshed once, somewhere, so that all is written anew. */
  async refreshAll(): Promise<void> {
    const [server] = this.#serving.keys()
    for (const user of this.#users) if (server) this.#count(await server.ask(user, true))
  }

  async end(): Promise<void> {
    await Promise.all([...this.#serving.keys()].map((server) => this.#endOne(server)))
  }

  async #startOne(deployment: Deployment): Promise<void> {
    this.#serve(await startServer(this.#entra, deployment))
  }

  async #endOne(server: Server): Promise<void> {
    const state = this.#serving.get(server)
    if (state === undefined) return
    state.stop = true
    await state.done
    this.#serving.delete(server)
    await server.end()
  }

  #serve(server: Server): void {
    const state = { stop: false, served: 0, done: Promise.resolve() }
    this.#serving.set(server, state)
    const serve = async () => {
      for (let n = 0; !state.stop; n++) {
        const user = this.#users[n % USERS] ?? ''
        this.#count(await server.ask(user, n % 7 === 3))
        state.served++
        const looking = this.#looking
        this.#looking = []
        for (const look of looking) look()
      }
    }
    state.done = serve()
  }

  #count(answer: TokenAnswer): void {
    if (answer.kind === 'error') {
      const isSignOut = answer.code === 'no_tokens_found'
      if (isSignOut) this.counts.signOuts++
      else this.counts.errors.push(answer.code)
    } else if (answer.fromCache) this.counts.hits++
    else this.counts.refreshes++
  }
}

/** The records with tokens and links, by how they are stored: the key id, or `plaintext`. */
async function sealedBy(): Promise<string[]> {
  const address = redis.address()
  if (address?.kind !== 'redis') throw new Error('no Redis')
  const client = createClient({ url: address.url })
  await client.connect()
  const by = new Set<string>()
  for (const key of await client.keys('*')) {
    if (kindOf(key) === '_g') continue
    const { value } = JSON.parse((await client.get(key)) ?? '') as { value: string }
    by.add(value.startsWith('{') ? 'plaintext' : (value.split('.')[1] ?? ''))
  }
  client.destroy()
  return [...by].toSorted()
}

describe.skipIf(missingProgram('redis-server'))('three servers on one Redis, under load', () => {
  const k1: EncryptionKey = { ...generateEncryptionKey(), id: 'k1' }
  const k2: EncryptionKey = { ...generateEncryptionKey(), id: 'k2' }
  let fleet: Fleet

  async function signInAll(deployment: Deployment): Promise<Fleet> {
    const entra = new EntraStandIn()
    const msal = new ConfidentialClients(entra.configuration(), { ...deployment, store: await redis.open() })
    const users = Array.from({ length: USERS }, () => entra.user())
    for (const user of users) {
      await entra.enter(msal, user)
    }
    fleet = new Fleet(
      entra,
      users.map(({ homeAccountId }) => homeAccountId),
    )
    await fleet.start(deployment)
    await fleet.served()
    return fleet
  }

  beforeEach(() => redis.start())
  afterEach(async () => {
    await fleet.end()
    await redis.stop()
  })

  test('a key is rotated by rolling restarts: no sign-out, no error', { timeout: 120_000 }, async () => {
    const { counts } = await signInAll({ encryptionKeys: [k1] })
    expect(await sealedBy()).toEqual(['k1'])
    await fleet.deploy({ encryptionKeys: [k1, k2] })
    expect(await sealedBy()).toEqual(['k1'])
    await fleet.deploy({ encryptionKeys: [k2, k1] })
    // Until ttl has passed, in production.
    await fleet.refreshAll()
    expect(await sealedBy()).toEqual(['k2'])
    await fleet.deploy({ encryptionKeys: [k2] })
    await fleet.end()
    expect(counts).toMatchObject({ signOuts: 0, errors: [] })
    expect(counts.hits).toBeGreaterThan(30 * USERS)
    expect(counts.refreshes).toBeGreaterThan(5 * USERS)
  })

  test('without the first step, users are signed out', { timeout: 120_000 }, async () => {
    const { counts } = await signInAll({ encryptionKeys: [k1] })
    await fleet.deployOne({ encryptionKeys: [k2, k1] })
    // What the new one has written by now, the others have been asked for after this.
    await fleet.served()
    expect(counts.signOuts).toBeGreaterThan(0)
    expect(counts.errors).toEqual([])
  })

  test('sealing is switched on with allowPlaintext: no sign-out, no error', {
    timeout: 120_000,
  }, async () => {
    const { counts } = await signInAll({})
    expect(await sealedBy()).toEqual(['plaintext'])
    await fleet.replace({ encryptionKeys: [k1], allowPlaintext: true })
    expect(await sealedBy()).toContain('k1')
    await fleet.refreshAll()
    expect(await sealedBy()).toEqual(['k1'])
    await fleet.deploy({ encryptionKeys: [k1] })
    await fleet.end()
    expect(counts).toMatchObject({ signOuts: 0, errors: [] })
    expect(counts.hits).toBeGreaterThan(20 * USERS)
  })
})
