import type { ChildProcess } from 'node:child_process'
import { createClient } from '@keyv/redis'
import { ended, makeFolder, removeFolder, startOnFreePort, startServer } from './programs.ts'

export interface RedisServerOptions {
  /** Keeps the data over a `restart()`; by default nothing is persisted. */
  readonly appendOnly?: boolean
  /** Makes it a node for a Redis Cluster. */
  readonly cluster?: boolean
  /** Whatever else `redis.conf` can say. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A real Redis on a free loopback port, with its files in a folder of its own. */
export class RedisServer {
  readonly port: number
  readonly #folder: string
  readonly #options: RedisServerOptions
  #process: ChildProcess

  private constructor(port: number, folder: string, options: RedisServerOptions, child: ChildProcess) {
    this.port = port
    this.#folder = folder
    this.#options = options
    this.#process = child
  }

  /** Resolves once it accepts connections. */
  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    const folder = await makeFolder()
    try {
      return await startOnFreePort(
        async (port) => new RedisServer(port, folder, options, await spawnRedis(port, folder, options)),
      )
    } catch (error) {
      await removeFolder(folder)
      throw error
    }
  }

  get url(): string {
    const password = this.#options.settings?.requirepass
    const credentials = password === undefined ? '' : `:${password}@`
    return `redis://${credentials}127.0.0.1:${this.port}`
  }

  /** Sends one command over a connection of its own. */
  async command(...words: string[]): Promise<unknown> {
    const client = await createClient({ url: this.url }).connect()
    try {
      return await client.sendCommand(words)
    } finally {
      client.destroy()
    }
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    await ended(this.#process)
  }

  /** From here on it accepts connections and commands but answers none. */
  pause(): void {
    this.#process.kill('SIGSTOP')
  }

  resume(): void {
    this.#process.kill('SIGCONT')
  }

  /** Starts it again on the same port: with its data if `appendOnly`, else empty. */
  async restart(): Promise<void> {
    await this.kill()
    this.#process = await spawnRedis(this.port, this.#folder, this.#options)
  }

  async stop(): Promise<void> {
    await this.kill()
    await removeFolder(this.#folder)
  }
}

function spawnRedis(port: number, folder: string, options: RedisServerOptions): Promise<ChildProcess> {
  const settings = {
    bind: '127.0.0.1',
    port: `${port}`,
    dir: folder,
    save: '',
    appendonly: options.appendOnly ? 'yes' : 'no',
    // Acknowledged writes survive kill(): with 'everysec' some may still be in the server's memory.
    appendfsync: 'always',
    'cluster-enabled': options.cluster ? 'yes' : 'no',
    ...options.settings,
  }
  return startServer('redis-server', {
    args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
    spawn: { cwd: folder },
    ready: 'Ready to accept connections',
    endSignal: 'SIGKILL',
  })
}
