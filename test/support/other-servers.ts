import type { ChildProcess } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { chown, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pass } from 'node:timers/promises'
import { freePort } from './free-port.ts'
import {
  ended,
  makeFolder,
  type Program,
  removeFolder,
  startOnFreePort,
  startServer,
  unprivilegedUser,
} from './programs.ts'

/** How one kind of server is started in a folder of its own. */
interface Recipe {
  readonly program: Program
  readonly ready: string
  args(port: number, folder: string): string[] | Promise<string[]>
  /** Makes what has to be in the folder. */
  prepare?(folder: string): Promise<unknown>
}

/** A real server on a free loopback port, with its files in a folder of its own. */
export class OtherServer {
  readonly port: number
  readonly #folder: string
  readonly #spawn: () => Promise<ChildProcess>
  #process: ChildProcess

  private constructor(port: number, folder: string, spawn: () => Promise<ChildProcess>, child: ChildProcess) {
    this.port = port
    this.#folder = folder
    this.#spawn = spawn
    this.#process = child
  }

  /** Resolves once it accepts connections. */
  static async start(recipe: Recipe): Promise<OtherServer> {
    const folder = await makeFolder()
    try {
      const owner = await unprivilegedUser()
      await recipe.prepare?.(folder)
      if (owner !== undefined) {
        for (const path of [folder, join(folder, 'data'), join(folder, 'data', 'app')]) {
          await chown(path, owner.uid, owner.gid).catch(() => {})
        }
      }
      return await startOnFreePort(async (port) => {
        const args = await recipe.args(port, folder)
        const spawn = () =>
          startServer(recipe.program, {
            args,
            spawn: { cwd: folder, ...owner },
            ready: recipe.ready,
            endSignal: 'SIGKILL',
          })
        return new OtherServer(port, folder, spawn, await spawn())
      })
    } catch (error) {
      await removeFolder(folder)
      throw error
    }
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    await ended(this.#process)
  }

  /** Once resolved it accepts connections and requests but answers none. */
  async pause(): Promise<void> {
    this.#process.kill('SIGSTOP')
    // Each thread stops when it gets to it; without Linux's files one has to hope.
    while (globSync(`/proc/${this.#process.pid}/task/*/stat`).some(isRunning)) await pass(1)
  }

  resume(): void {
    this.#process.kill('SIGCONT')
  }

  /** Starts it again on the same port, with its data if it keeps any. */
  async restart(): Promise<void> {
    await this.kill()
    this.#process = await this.#spawn()
  }

  async stop(): Promise<void> {
    await this.kill()
    await removeFolder(this.#folder)
  }
}

function isRunning(path: string): boolean {
  return !/\) T /.test(readFileSync(path, 'latin1'))
}

export const MEMCACHED: Recipe = {
  program: 'memcached',
  ready: 'server listening',
  // It says that it is ready only where it says everything, and drops nothing for want of memory.
  args: (port) => ['-vv', '-M', '-l', '127.0.0.1', '-p', `${port}`],
}

export const ETCD: Recipe = {
  program: 'etcd',
  ready: 'ready to serve client requests',
  async args(port, folder) {
    const [own, peers] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${await freePort()}`]
    const options = {
      'data-dir': join(folder, 'data'),
      'listen-client-urls': own,
      'advertise-client-urls': own,
      'listen-peer-urls': peers,
      'initial-advertise-peer-urls': peers,
      'initial-cluster': `default=${peers}`,
    }
    return Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
  },
}

/** MariaDB, without users. */
export const MARIADB: Recipe = {
  program: 'mariadbd',
  ready: 'ready for connections',
  // A folder in the data folder is a database.
  prepare: (folder) => mkdir(join(folder, 'data', 'app'), { recursive: true }),
  args: (port, folder) => [
    '--no-defaults',
    '--skip-grant-tables',
    '--skip-networking=0',
    '--bind-address=127.0.0.1',
    `--port=${port}`,
    `--datadir=${join(folder, 'data')}`,
    // In the data folder. An absolute path can be too long for a socket.
    '--socket=socket',
    `--pid-file=${join(folder, 'pid')}`,
    '--performance-schema=off',
    '--innodb-buffer-pool-size=8M',
    '--innodb-log-file-size=4M',
    // Written at every commit, so that what was acknowledged survives kill(), but not forced to the disk.
    '--innodb-flush-log-at-trx-commit=2',
  ],
}
