import { fork } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { KeyvLike } from '../../src/index.ts'
import { closeStore, openSampled } from '../support/open-store.ts'
import { MEMCACHED, OtherServer } from '../support/other-servers.ts'
import { missingProgram } from '../support/programs.ts'
import { SlowLink } from '../support/slow-link.ts'
import { isStored } from '../support/stored.ts'
import { FaultyHost, watchForCrashes } from './host.ts'
import { MAJORS } from './majors.ts'
import { MEMCACHED_FAULTS } from './table.ts'

const STORE_TIMEOUT = 3_000
/** Of the client, in seconds, where nothing will answer. */
const SHORT_TIMEOUT = { 'timeout: 1,': 'timeout: 0.3,' }

const crashes = watchForCrashes()
afterAll(() => crashes.check())

describe.skipIf(missingProgram('memcached')).each(MAJORS)('memcached, %s', (major, make) => {
  let server: OtherServer
  let link: SlowLink
  let keyv: KeyvLike
  let host: FaultyHost

  beforeAll(async () => {
    server = await OtherServer.start(MEMCACHED)
  })
  afterAll(() => server.stop())
  beforeEach(async () => {
    link = await SlowLink.start(server.port)
    keyv = make(await openSampled('memcached', link.port))
    host = new FaultyHost(keyv, STORE_TIMEOUT)
  })
  afterEach(async () => {
    await closeStore(keyv)
    await link.stop()
  })

  test('reset', async () => {
    host.check(
      MEMCACHED_FAULTS.reset,
      await host.suffer({ inject: () => link.cut(), heal: () => link.mend() }),
    )
  })

  test.runIf(major === 'Keyv 5')('paused', async () => {
    const fault = { inject: () => server.pause(), heal: () => server.resume() }
    const hasty = make(await openSampled('memcached', link.port, SHORT_TIMEOUT))
    host = new FaultyHost(hasty, STORE_TIMEOUT)
    host.check(MEMCACHED_FAULTS.paused, await host.suffer(fault))
    await closeStore(hasty)
  })

  /** The first calls find the old connection closed, and how many do is the client's affair. */
  async function restart(): Promise<void> {
    await server.restart()
    await vi.waitUntil(() =>
      isStored(host.msal.plugin, 'nobody').then(
        () => true,
        () => false,
      ),
    )
  }

  test('restarted', async () => {
    host.check(MEMCACHED_FAULTS.restarted, await host.sufferLoss(restart))
  })

  test('damaged', async () => {
    host.check(MEMCACHED_FAULTS.damaged, await host.sufferDamage())
  })
})

test.skipIf(missingProgram('memcached'))(
  'with the adapter as it comes, a value that cannot be parsed ends the process',
  async () => {
    const server = await OtherServer.start(MEMCACHED)
    const child = fork(new URL('memcached-process.ts', import.meta.url), [`${server.port}`], {
      stdio: 'pipe',
    })
    expect(await once(child, 'exit')).toEqual([1, null])
    await server.stop()
  },
)
