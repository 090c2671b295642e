import { afterAll, afterEach, beforeAll, beforeEach, describe, test, vi } from 'vitest'
import type { KeyvLike } from '../../src/index.ts'
import type { EntraStandIn, User } from '../support/entra.ts'
import { closeStore, openAdapter } from '../support/open-store.ts'
import { missingProgram } from '../support/programs.ts'
import { RedisCluster } from '../support/redis-cluster.ts'
import type { RedisServer } from '../support/redis-server.ts'
import { runSample, sampleUnder } from '../support/run-sample.ts'
import { keysOf } from '../support/stored.ts'
import { FaultyHost, watchForCrashes } from './host.ts'
import { MAJORS } from './majors.ts'
import { CLUSTER_FAULTS } from './table.ts'

/** No fault here is waited for: long enough for a busy machine, and less than the `connectionTimeout` of the adapter. */
const STORE_TIMEOUT = 1_500
/** The share of the first of three masters. */
const FIRST_SLOTS = 5_462
const WAIT = { timeout: 20_000, interval: 50 }

const crashes = watchForCrashes()
afterAll(() => crashes.check())

describe.skipIf(missingProgram('redis-server')).each(MAJORS)('Redis Cluster, %s', (_, make) => {
  let cluster: RedisCluster
  let master: RedisServer
  let replica: RedisServer
  let keyv: KeyvLike
  let host: FaultyHost

  beforeAll(async () => {
    cluster = await RedisCluster.start({ replica: true, appendOnly: true })
    const [first] = cluster.nodes
    if (first === undefined || cluster.replica === undefined) throw new Error('the cluster is too small')
    master = first
    replica = cluster.replica
  })
  afterAll(() => cluster.stop())
  beforeEach(async () => {
    if (await says(master, 'role:slave')()) [master, replica] = [replica, master]
    keyv = make(await openAdapter({ kind: 'redis-cluster', urls: cluster.urls }))
    host = new FaultyHost(keyv, STORE_TIMEOUT)
    host.newUser = () => newUser(host.entra)
  })
  afterEach(() => closeStore(keyv))

  /** Of the first master. */
  async function newUser(entra: EntraStandIn): Promise<User> {
    for (;;) {
      const user = entra.user()
      const slot = await replica.command('CLUSTER', 'KEYSLOT', keysOf(user.homeAccountId).partition)
      if (Number(slot) < FIRST_SLOTS) return user
    }
  }

  const says = (node: RedisServer, text: string) => async () =>
    String(await node.command('INFO', 'replication').catch(() => '')).includes(text)
  const isWhole = async () =>
    (await Promise.all(cluster.nodes.map((node) => node.command('CLUSTER', 'INFO').catch(() => '')))).every(
      (info) => String(info).includes('cluster_state:ok'),
    )

  test('damaged', async () => {
    host.check(CLUSTER_FAULTS.damaged, await host.sufferDamage())
  })

  test('masterLost', async () => {
    const fault = {
      inject: () => master.kill(),
      async heal() {
        await master.restart()
        await vi.waitUntil(isWhole, WAIT)
      },
    }
    host.check(CLUSTER_FAULTS.masterLost, await host.suffer(fault))
  })

  test('moved', async () => {
    const fault = {
      async inject() {
        await replica.command('CLUSTER', 'FAILOVER')
        await vi.waitUntil(says(master, 'role:slave'), WAIT)
        await vi.waitUntil(says(master, 'master_link_status:up'), WAIT)
      },
      heal() {},
    }
    host.check(CLUSTER_FAULTS.moved, await host.suffer(fault))
  })

  test('failover', async () => {
    const nodes = cluster.urls.map((url, index) => [`redis://node-${index + 1}:6379`, url])
    const sample = sampleUnder('docs/stores.md', '## Redis Cluster')
    const names = ['adapter'] as const
    const { adapter } = await runSample<{ adapter: object }>(sample, Object.fromEntries(nodes), names)
    const renewed = make(adapter)
    const recommended = new FaultyHost(renewed, STORE_TIMEOUT)
    recommended.newUser = () => newUser(recommended.entra)
    const fault = {
      async inject() {
        await vi.waitUntil(() => hasEverything(master), WAIT)
        await master.kill()
      },
      heal: () => vi.waitUntil(says(replica, 'role:master'), WAIT),
    }
    const suffered = await recommended.suffer(fault)
    await closeStore(renewed)
    await master.restart()
    await vi.waitUntil(says(master, 'master_link_status:up'), WAIT)
    host.check(CLUSTER_FAULTS.failover, suffered)
  })
})

/** Whether the one replica has got all that its master has acknowledged. */
async function hasEverything(master: RedisServer): Promise<boolean> {
  const info = String(await master.command('INFO', 'replication'))
  const [, own] = /master_repl_offset:(\d+)/.exec(info) ?? []
  const [, replicas] = /slave0:.*offset=(\d+)/.exec(info) ?? []
  return own !== undefined && own === replicas
}
