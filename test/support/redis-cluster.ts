import { setTimeout as delay } from 'node:timers/promises'
import { createClient } from '@keyv/redis'
import { freePort } from './free-port.ts'
import { RedisServer } from './redis-server.ts'

const slotCount = 16_384
const settings = { 'cluster-node-timeout': '1000', 'repl-diskless-sync-delay': '0' }

export interface RedisClusterOptions {
  /** Gives the first master a replica, which takes its place when it fails. */
  readonly replica?: boolean
  /** Keeps the data over a node's `restart()`. */
  readonly appendOnly?: boolean
  /** The paths of what the nodes show to who connects to them, and to one another, by TLS. */
  readonly tls?: { readonly key: string; readonly cert: string }
}

/** A real Redis Cluster of three masters, each with a third of the slots. */
export class RedisCluster {
  /** The masters. */
  readonly nodes: readonly RedisServer[]
  readonly replica: RedisServer | undefined
  /** Of the masters' ports for TLS. */
  readonly secureUrls: readonly string[]

  private constructor(
    nodes: readonly RedisServer[],
    replica: RedisServer | undefined,
    securePorts: readonly number[],
  ) {
    this.nodes = nodes
    this.replica = replica
    this.secureUrls = securePorts.map((port) => `rediss://127.0.0.1:${port}`)
  }

  /** Resolves once every node knows an owner for every slot: about two seconds, Redis waits that long. */
  static async start({
    replica = false,
    appendOnly = false,
    tls,
  }: RedisClusterOptions = {}): Promise<RedisCluster> {
    const nodes: RedisServer[] = []
    const securePorts: number[] = []
    try {
      for (let node = 0; node < (replica ? 4 : 3); node++) {
        const secure = tls === undefined ? {} : await secured(tls)
        if (tls !== undefined) securePorts.push(Number(secure['tls-port']))
        nodes.push(
          await RedisServer.start({ cluster: true, appendOnly, settings: { ...settings, ...secure } }),
        )
      }
      const masters = nodes.slice(0, 3)
      await join(
        masters,
        masters.map(({ port }, index) => securePorts[index] ?? port),
      )
      const [first] = masters
      const [fourth] = nodes.slice(3)
      if (first !== undefined && fourth !== undefined) await replicate(first, fourth, masters)
      return new RedisCluster(masters, fourth, securePorts)
    } catch (error) {
      await Promise.all(nodes.map((node) => node.stop()))
      throw error
    }
  }

  get urls(): readonly string[] {
    return this.nodes.map((node) => node.url)
  }

  async stop(): Promise<void> {
    await Promise.all([...this.nodes, ...(this.replica ? [this.replica] : [])].map((node) => node.stop()))
  }
}

async function secured({ key, cert }: { key: string; cert: string }): Promise<Record<string, string>> {
  return {
    'tls-port': `${await freePort()}`,
    'tls-key-file': key,
    'tls-cert-file': cert,
    'tls-ca-cert-file': cert,
    'tls-auth-clients': 'no',
    'tls-cluster': 'yes',
  }
}

async function replicate(
  master: RedisServer,
  replica: RedisServer,
  masters: readonly RedisServer[],
): Promise<void> {
  const id = String(await master.command('CLUSTER', 'MYID'))
  const replicaId = String(await replica.command('CLUSTER', 'MYID'))
  await master.command('CLUSTER', 'MEET', '127.0.0.1', `${replica.port}`)
  // It has to have heard of its master first, and then the others of both: they vote.
  await said(replica, ['CLUSTER', 'NODES'], id)
  await replica.command('CLUSTER', 'REPLICATE', id)
  await said(replica, ['INFO', 'replication'], 'master_link_status:up')
  for (const node of masters) await said(node, ['CLUSTER', 'REPLICAS', id], replicaId)
}

async function said(node: RedisServer, command: readonly string[], text: string): Promise<void> {
  while (!String(await node.command(...command)).includes(text)) await delay(20)
}

/** @param ports by which the nodes know one another */
async function join(nodes: readonly RedisServer[], ports: readonly number[]): Promise<void> {
  const clients = await Promise.all(nodes.map((node) => createClient({ url: node.url }).connect()))
  try {
    const share = Math.ceil(slotCount / nodes.length)
    for (const [index, client] of clients.entries()) {
      const first = index * share
      const slots = Math.min(share, slotCount - first)
      await client.clusterAddSlots(Array.from({ length: slots }, (_, slot) => first + slot))
      for (const port of ports.slice(index + 1)) await client.clusterMeet('127.0.0.1', port)
    }
    for (const client of clients) {
      while (!(await client.clusterInfo()).includes('cluster_state:ok')) {
        await delay(20)
      }
    }
  } finally {
    for (const client of clients) {
      client.destroy()
    }
  }
}
