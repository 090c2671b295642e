import { fork } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { KeyvLike } from '../../src/index.ts'
import { PostgresServer } from '../support/postgres-server.ts'
import { missingProgram } from '../support/programs.ts'
import { runSample, sampleUnder } from '../support/run-sample.ts'
import { SlowLink } from '../support/slow-link.ts'
import { type Fault, FaultyHost, watchForCrashes } from './host.ts'
import { MAJORS } from './majors.ts'
import { POSTGRES_FAULTS } from './table.ts'

const STORE_TIMEOUT = 1_000
const SHORT_STORE_TIMEOUT = 250

const crashes = watchForCrashes()
afterAll(() => crashes.check())

describe.skipIf(missingProgram('initdb', 'postgres'))('PostgreSQL', () => {
  let server: PostgresServer

  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server.stop())

  describe.each(MAJORS)('%s, as docs/stores.md opens it', (_, make) => {
    let link: SlowLink
    let adapter: { disconnect(): Promise<void> }
    let keyv: KeyvLike

    beforeEach(async () => {
      link = await SlowLink.start(Number(new URL(server.uri).port))
      const uri = server.uri.replace(/:\d+\//, `:${link.port}/`)
      const replaced = { 'postgresql://app@127.0.0.1:5432/app': uri }
      const sample = sampleUnder('docs/stores.md', '## PostgreSQL', 'js')
      ;({ adapter } = await runSample<{ adapter: typeof adapter }>(sample, replaced, ['adapter']))
      keyv = make(adapter)
    })
    afterEach(async () => {
      await adapter.disconnect()
      await link.stop()
    })

    const faults = {
      stopped: { inject: () => server.kill(), heal: () => server.restart() },
      restarted: { inject: () => server.restart(), heal() {} },
      reset: { inject: () => link.cut(), heal: () => link.mend() },
    } satisfies { [Name in keyof typeof POSTGRES_FAULTS]?: Fault }

    test.each(Object.entries(faults))('%s', async (name, fault: Fault) => {
      const host = new FaultyHost(keyv, STORE_TIMEOUT)
      host.check(POSTGRES_FAULTS[name as keyof typeof faults], await host.suffer(fault))
    })

    test('damaged', async () => {
      const host = new FaultyHost(keyv, STORE_TIMEOUT)
      host.check(POSTGRES_FAULTS.damaged, await host.sufferDamage())
    })

    test('silent', async () => {
      const host = new FaultyHost(keyv, SHORT_STORE_TIMEOUT)
      const fault = {
        inject() {
          link.delay = SHORT_STORE_TIMEOUT
        },
        heal: () => link.mend(),
      }
      const later = async () => new FaultyHost(keyv, STORE_TIMEOUT, host.entra)
      host.check(POSTGRES_FAULTS.silent, await host.suffer(fault, host, later))
    })
  })

  test.each([
    ['the adapter as it comes: the restart ends the process', 'plain', 1],
    ['a pool with a listener: it goes on', 'pooled', 0],
  ])('%s', async (_, kind, status) => {
    const child = fork(new URL('postgres-process.ts', import.meta.url), [server.uri, kind], { stdio: 'pipe' })
    await once(child, 'message')
    const ended = once(child, 'exit')
    await server.restart()
    if (status === 0) child.send('end')
    expect(await ended).toEqual([status, null])
  })
})
