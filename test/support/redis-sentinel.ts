import type { ChildProcess } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pass } from 'node:timers/promises'
import { createClient } from '@keyv/redis'
import { ended, makeFolder, removeFolder, startOnFreePort, startServer } from './programs.ts'
import { RedisServer } from './redis-server.ts'

export const MASTER_NAME = 'mymaster'
const QUORUM = 2
/** Milliseconds without an answer after which a Sentinel takes a node for dead. */
const DOWN_AFTER = 1_000
const NEVER = 3_600_000

/** One real Sentinel on a free loopback port, with its files in a folder of its own. */
class Sentinel {
  readonly port: number
  readonly #folder: string
  readonly #process: ChildProcess

  private constructor(port: number, folder: string, child: ChildProcess) {
    this.port = port
    this.#folder = folder
    this.#process = child
  }

  static async start(masterPort: number): Promise<Sentinel> {
    const folder = await makeFolder()
    const file = join(folder, 'sentinel.conf')
    return startOnFreePort(async (port) => {
      const lines = [
        `port ${port}`,
        'bind 127.0.0.1',
        `dir ${folder}`,
        `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${masterPort} ${QUORUM}`,
        `sentinel down-after-milliseconds ${MASTER_NAME} ${DOWN_AFTER}`,
        `sentinel failover-timeout ${MASTER_NAME} 3000`,
      ]
      await writeFile(file, `${lines.join('\n')}\n`)
      const child = await startServer('redis-server', {
        args: [file, '--sentinel'],
        spawn: { cwd: folder },
        ready: '+monitor master',
        endSignal: 'SIGKILL',
      })
      return new Sentinel(port, folder, child)
    })
  }

  async stop(): Promise<void> {
    this.#process.kill('SIGKILL')
    await ended(this.#process)
    await removeFolder(this.#folder)
  }
}

/** A master, two replicas, and three Sentinels that watch over them. */
export class RedisSentinels {
  readonly sentinels: readonly Pick<Sentinel, 'port' | 'stop'>[]
  /** The first is the master at the start. */
  readonly nodes: readonly RedisServer[]

  private constructor(nodes: readonly RedisServer[], sentinels: readonly Sentinel[]) {
    this.nodes = nodes
    this.sentinels = sentinels
  }

  /** Resolves once every Sentinel knows both replicas and the others, without which there is no failover. */
  static async start(settings: Readonly<Record<string, string>> = {}): Promise<RedisSentinels> {
    const nodes: RedisServer[] = []
    const sentinels: Sentinel[] = []
    const all = new RedisSentinels(nodes, sentinels)
    try {
      for (let node = 0; node < 3; node++) {
        nodes.push(await RedisServer.start({ settings: { 'repl-diskless-sync-delay': '0', ...settings } }))
      }
      const [master, ...replicas] = nodes
      const port = master?.port ?? 0
      for (const replica of replicas) await replica.command('REPLICAOF', '127.0.0.1', `${port}`)
      const connected = async () => String(await master?.command('INFO', 'replication'))
      while (!(await connected()).includes(`connected_slaves:${replicas.length}`)) await pass(20)
      for (let i = 0; i < 3; i++) sentinels.push(await Sentinel.start(port))
      for (const sentinel of sentinels) {
        while (!(await knowsAll(sentinel.port))) await pass(50)
      }
      return all
    } catch (error) {
      await all.stop()
      throw error
    }
  }

  /** The node that the Sentinels send clients to. */
  async master(): Promise<RedisServer> {
    const [sentinel] = this.sentinels
    const reply = await ask(sentinel?.port ?? 0, 'get-master-addr-by-name')
    const master = this.nodes.find(({ port }) => reply.includes(`${port}`))
    if (master === undefined) throw new Error('there is no master')
    return master
  }

  /** Resolves once all that the master has acknowledged is with all of its replicas. */
  async replicated(): Promise<void> {
    for (;;) {
      const info = String(await (await this.master()).command('INFO', 'replication'))
      const [, own] = /master_repl_offset:(\d+)/.exec(info) ?? []
      const replicas = [...info.matchAll(/^slave\d+:.*offset=(\d+)/gm)].map(([, offset]) => offset)
      if (replicas.length > 0 && replicas.every((offset) => offset === own)) return
      await pass(20)
    }
  }

  /** Resolves once the master takes writes: so many replicas as it asks for answer it in time. */
  async takesWrites(): Promise<void> {
    for (;;) {
      const info = await (await this.master()).command('INFO', 'replication').catch(() => '')
      if (/min_slaves_good_slaves:[1-9]/.test(String(info))) return
      await pass(20)
    }
  }

  /** Keeps the Sentinels from promoting a replica, or lets them. */
  async hold(isHeld: boolean): Promise<void> {
    const milliseconds = `${isHeld ? NEVER : DOWN_AFTER}`
    for (const { port } of this.sentinels) await ask(port, 'set', 'down-after-milliseconds', milliseconds)
  }

  async stop(): Promise<void> {
    await Promise.all([...this.sentinels, ...this.nodes].map((each) => each.stop()))
  }
}

async function knowsAll(port: number): Promise<boolean> {
  const reply = (await ask(port, 'master')).join()
  return reply.includes('num-slaves,2') && reply.includes('num-other-sentinels,2')
}

async function ask(port: number, command: string, ...words: string[]): Promise<string[]> {
  const client = await createClient({ url: `redis://127.0.0.1:${port}` }).connect()
  try {
    return await client.sendCommand<string[]>(['SENTINEL', command, MASTER_NAME, ...words])
  } finally {
    client.destroy()
  }
}
