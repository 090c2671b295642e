import { setTimeout as pass } from 'node:timers/promises'
import { createClient } from '@keyv/redis'
import type { Keyv } from 'keyv'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { EvictionError, type HostSession, StoreUnavailableError } from '../../src/index.ts'
import { LONG } from '../support/length.ts'
import { closeStore } from '../support/open-store.ts'
import { missingProgram } from '../support/programs.ts'
import { RedisSentinels } from '../support/redis-sentinel.ts'
import type { RedisServer } from '../support/redis-server.ts'
import { runSample, sampleUnder } from '../support/run-sample.ts'
import { FaultyHost, watchForCrashes } from './host.ts'
import { SENTINEL_FAULTS } from './table.ts'

const STORE_TIMEOUT = 1_500
const WAIT = { timeout: 20_000, interval: 20 }
/** Of those who sign in, refresh and are evicted all the while. */
const USERS = 40
/** Milliseconds before and after the failover. */
const RUN = 30_000

const crashes = watchForCrashes()
afterAll(() => crashes.check())

/** Seven servers that have to agree in time are too many for a busy machine with two cores. */
describe.skipIf(missingProgram('redis-server') || !LONG)(
  'three Sentinels, as docs/stores.md opens them',
  () => {
    let redis: RedisSentinels
    let keyv: Keyv
    let host: FaultyHost

    beforeAll(async () => {
      // Replicas answer once a second: with a lag of 1, as documented, a busy master would refuse a write now and then.
      redis = await RedisSentinels.start({ 'min-replicas-to-write': '1', 'min-replicas-max-lag': '3' })
      await redis.takesWrites()
      const replaced = redis.sentinels.map(({ port }, index) => [
        `host: 'sentinel-${index + 1}', port: 26379`,
        `host: '127.0.0.1', port: ${port}`,
      ])
      const sample = sampleUnder('docs/stores.md', '## Sentinel')
      ;({ store: keyv } = await runSample<{ store: Keyv }>(sample, Object.fromEntries(replaced), ['store']))
      host = new FaultyHost(keyv, STORE_TIMEOUT)
    })
    afterAll(async () => {
      await closeStore(keyv)
      await redis.stop()
    })

    const replicas = async () => {
      const master = await redis.master()
      return redis.nodes.filter((node) => node !== master)
    }
    const promoted = (before: object) => vi.waitUntil(async () => (await redis.master()) !== before, WAIT)

    test('checkStore finds nothing wrong', async () => {
      expect(await host.msal.plugin.checkStore()).toMatchObject({ supported: true, warnings: [] })
    })

    test('a master that has lost its replicas refuses to evict, and says so (P4)', async () => {
      const session = await host.signIn(host.entra.user())
      for (const replica of await replicas()) replica.pause()
      const refusal = await vi.waitUntil(
        () =>
          host.evict(session).then(
            () => undefined,
            (error: unknown) => error,
          ),
        { ...WAIT, interval: 200 },
      )
      for (const replica of await replicas()) replica.resume()
      expect(refusal).toBeInstanceOf(EvictionError)
      expect(refusal).toMatchObject({ fenced: false, cause: { cause: { message: /^NOREPLICAS/ } } })
      await vi.waitUntil(
        () =>
          host.evict(session).then(
            () => true,
            () => false,
          ),
        WAIT,
      )
      expect(await host.isSignedIn(session)).toBe(false)
    })

    test('failover, in the midst of sign-ins, refreshes and evictions', async () => {
      // A master that is late for a second would be replaced before its time.
      await redis.hold(true)
      const run = new Run(host)
      await pass(RUN)
      let master = await redis.master()
      const fault = {
        async inject() {
          master = await redis.master()
          await run.pause()
          await redis.replicated()
          run.goOn()
          await master.kill()
        },
        async heal() {
          await redis.hold(false)
          await promoted(master)
          await redis.takesWrites()
          run.isAtRisk = false
        },
      }
      const suffered = await host.suffer(fault)
      await pass(RUN)
      const evicted = await run.end()
      host.check(SENTINEL_FAULTS.failover, suffered)
      for (const session of evicted) expect(await host.msal.plugin.isSignedIn(session)).toBe(false)
      expect(evicted.length).toBeGreaterThan(USERS)
    })

    test('an eviction that no replica has got is undone by a failover, and a new one holds', async () => {
      const master = await redis.master()
      await redis.takesWrites()
      const session = await host.signIn(host.entra.user())
      await redis.replicated()
      await cutOffReplicas(master)
      await host.evict(session)
      expect(await host.isSignedIn(session)).toBe(false)
      await master.kill()
      await promoted(master)
      await vi.waitUntil(() => host.isSignedIn(session).catch(() => false), WAIT)
      const last = await redis.master()
      await last.command('CONFIG', 'SET', 'min-replicas-to-write', '0')
      await host.evict(session)
      expect(await host.isSignedIn(session)).toBe(false)
    })
  },
)

/** Who is connected stays so, and nobody else is let in: the master's replicas are thrown out first. */
async function cutOffReplicas(master: RedisServer): Promise<void> {
  const client = await createClient({ url: master.url }).connect()
  await client.configSet({ 'min-replicas-to-write': '0', requirepass: 'a new one' })
  await client.sendCommand(['CLIENT', 'KILL', 'TYPE', 'replica'])
  client.destroy()
}

/** Users who go on signing in, refreshing and being evicted until they are told to end. */
class Run {
  /** What is confirmed now may be lost with the master. */
  isAtRisk = false
  #hasBeenAtRisk = false
  readonly #host: FaultyHost
  readonly #evicted: HostSession[] = []
  readonly #users: Promise<void>[]
  #isOver = false
  #gate = Promise.withResolvers<void>()
  #busy = 0

  constructor(host: FaultyHost) {
    this.#host = host
    this.#gate.resolve()
    this.#users = Array.from({ length: USERS }, () => this.#go())
  }

  /** Resolves once nothing is under way. */
  async pause(): Promise<void> {
    this.#gate = Promise.withResolvers()
    while (this.#busy > 0) await pass(5)
  }

  goOn(): void {
    this.isAtRisk = true
    this.#hasBeenAtRisk = true
    this.#gate.resolve()
  }

  /** @returns the sessions whose eviction was confirmed, and has to hold */
  async end(): Promise<readonly HostSession[]> {
    this.#isOver = true
    await Promise.all(this.#users)
    return this.#evicted
  }

  async #go(): Promise<void> {
    const user = this.#host.entra.user()
    let hasGivenUp = false
    while (!this.#isOver) {
      await this.#gate.promise
      this.#busy++
      try {
        const session = await this.#host.signIn(user)
        await this.#host.silent(session)
        await this.#host.silent(session, { forceRefresh: true })
        await this.#host.evict(session)
        if (!this.isAtRisk) this.#evicted.push(session)
      } catch (error) {
        // A sign-in that was lost with the master, or ended by an eviction that was given up on and came late.
        const isGone = (error as { errorCode?: unknown }).errorCode === 'no_tokens_found'
        const isLoss = isGone && (this.#hasBeenAtRisk || hasGivenUp)
        const isOutage = error instanceof StoreUnavailableError || error instanceof EvictionError
        hasGivenUp ||= error instanceof EvictionError
        if (!isLoss && !isOutage) throw error
      } finally {
        this.#busy--
      }
    }
  }
}
