import { setTimeout as pass, setImmediate as turn } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type KeyvLike, StoreUnavailableError } from '../../src/index.ts'
import { KeyvStore } from '../../src/store/keyv-store.ts'
import { freePort } from '../support/free-port.ts'
import { closeStore, openSampled } from '../support/open-store.ts'
import { missingProgram, type Program } from '../support/programs.ts'
import { FaultyHost, watchForCrashes } from './host.ts'
import { MAJORS } from './majors.ts'
import type { Row } from './table.ts'

export const STORE_TIMEOUT = 1_000
export const SHORT_STORE_TIMEOUT = 300

export interface Server {
  readonly port: number
  kill(): Promise<void>
  pause(): void | Promise<void>
  resume(): void
  restart(): Promise<void>
  stop(): Promise<void>
}

export interface BasicFaults {
  readonly kind: Parameters<typeof openSampled>[0]
  readonly program: Program
  start(): Promise<Server>
  readonly rows: Readonly<Record<'killed' | 'paused' | 'restarted' | 'damaged', Row>>
}

/** Resolves once the client is connected again: what follows meets the fault, and not the reconnection. */
export async function connected(keyv: KeyvLike): Promise<void> {
  const store = new KeyvStore(keyv, SHORT_STORE_TIMEOUT)
  while (!(await store.read(['nothing']).then(Boolean, () => false))) await pass(5)
}

/** What every server that keeps its data does: be killed, paused, restarted, and hold what cannot be parsed. */
export function basicFaults({ kind, program, start, rows }: BasicFaults): void {
  const crashes = watchForCrashes()
  afterAll(() => crashes.check())

  describe.skipIf(missingProgram(program)).each(MAJORS)(`${kind}, %s`, (major, make) => {
    let server: Server
    let keyv: KeyvLike

    beforeAll(async () => {
      server = await start()
    })
    afterAll(() => server.stop())
    beforeEach(async () => {
      keyv = make(await openSampled(kind, server.port))
    })
    afterEach(() => closeStore(keyv))

    test('killed', async () => {
      const host = new FaultyHost(keyv, STORE_TIMEOUT)
      const fault = { inject: () => server.kill(), heal: () => server.restart() }
      host.check(rows.killed, await host.suffer(fault))
    })

    test('damaged', async () => {
      const host = new FaultyHost(keyv, STORE_TIMEOUT)
      host.check(rows.damaged, await host.sufferDamage())
    })

    test('down when the process starts: said at once or by the first call, and nothing ends the process', async () => {
      const adapter = await openSampled(kind, await freePort()).catch(() => undefined)
      await turn()
      if (adapter === undefined) return
      const store = new KeyvStore(make(adapter), SHORT_STORE_TIMEOUT)
      const calls = [store.read(['k']), store.write('k', 'v', 1_000), store.delete(['k'])]
      for (const outcome of await Promise.allSettled(calls)) {
        expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(StoreUnavailableError) })
      }
      await closeStore({ store: adapter })
    })

    // What the two majors of Keyv make different is what comes of an error.
    if (major !== 'Keyv 5') return

    test('paused', async () => {
      const host = new FaultyHost(keyv, SHORT_STORE_TIMEOUT)
      const fault = { inject: () => server.pause(), heal: () => server.resume() }
      // Only what is to time out is hasty: a busy machine makes the first answers late.
      const later = async () => new FaultyHost(keyv, STORE_TIMEOUT, host.entra)
      host.check(rows.paused, await host.suffer(fault, host, later))
    })

    test('restarted', async () => {
      const host = new FaultyHost(keyv, STORE_TIMEOUT)
      const fault = {
        async inject() {
          await server.restart()
          await connected(keyv)
        },
        heal() {},
      }
      host.check(rows.restarted, await host.suffer(fault))
    })
  })
}
