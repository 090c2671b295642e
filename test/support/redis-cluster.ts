import { setTimeout as delay } from 'node:timers/promises'
import { createClient } from '@keyv/redis'
import { RedisServer } from './redis-server.ts'

const slotCount = 16_384

/** A real Redis Cluster of three masters, each with a third of the slots. */
export class RedisCluster {
  readonly nodes: readonly RedisServer[]

  private constructor(nodes: readonly RedisServer[]) {
    this.nodes = nodes
  }

  /** Resolves once every node knows an owner for every slot: about two seconds, Redis waits that long. */
  static async start(): Promise<RedisCluster> {
    const nodes: RedisServer[] = []
    try {
      for (let node = 0; node < 3; node++) {
        nodes.push(await RedisServer.start({ cluster: true }))
      }
      await join(nodes)
    } catch (error) {
      await Promise.all(nodes.map((node) => node.stop()))
      throw error
    }
    return new RedisCluster(nodes)
  }

  get urls(): readonly string[] {
    return this.nodes.map((node) => node.url)
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()))
  }
}

async function join(nodes: readonly RedisServer[]): Promise<void> {
  const clients = await Promise.all(nodes.map((node) => createClient({ url: node.url }).connect()))
  try {
    const share = Math.ceil(slotCount / nodes.length)
    for (const [index, client] of clients.entries()) {
      const first = index * share
      const slots = Math.min(share, slotCount - first)
      await client.clusterAddSlots(Array.from({ length: slots }, (_, slot) => first + slot))
      for (const node of nodes.slice(index + 1)) {
        await client.clusterMeet('127.0.0.1', node.port)
      }
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
