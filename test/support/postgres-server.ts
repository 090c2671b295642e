import { type ChildProcess, execFile, type SpawnOptions } from 'node:child_process'
import { chown } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  ended,
  makeFolder,
  removeFolder,
  requireProgram,
  startOnFreePort,
  startServer,
  unprivilegedUser,
} from './programs.ts'

const run = promisify(execFile)

/** A real PostgreSQL on a free loopback port, with its files in a folder of its own. */
export class PostgresServer {
  readonly uri: string
  readonly #folder: string
  readonly #spawn: () => Promise<ChildProcess>
  #process: ChildProcess

  private constructor(port: number, folder: string, spawn: () => Promise<ChildProcess>, child: ChildProcess) {
    this.uri = `postgresql://postgres@127.0.0.1:${port}/postgres`
    this.#folder = folder
    this.#spawn = spawn
    this.#process = child
  }

  /** Resolves once it accepts connections; making the database takes about a second. */
  static async start(): Promise<PostgresServer> {
    const folder = await makeFolder()
    try {
      const owner = await unprivilegedUser('postgres')
      if (owner !== undefined) {
        await chown(folder, owner.uid, owner.gid)
      }
      const options = { cwd: folder, ...owner }
      const database = join(folder, 'database')
      await run(
        requireProgram('initdb'),
        [
          '--pgdata',
          database,
          '--username=postgres',
          '--auth=trust',
          '--locale=C',
          '--encoding=UTF8',
          '--no-sync',
        ],
        options,
      )
      return await startOnFreePort(async (port) => {
        const spawn = () => spawnPostgres(port, database, options)
        return new PostgresServer(port, folder, spawn, await spawn())
      })
    } catch (error) {
      await removeFolder(folder)
      throw error
    }
  }

  /** Ends it at once, as a crash does, with every connection. */
  async kill(): Promise<void> {
    this.#process.kill('SIGQUIT')
    await ended(this.#process)
  }

  /** Starts it again on the same port, with its data. */
  async restart(): Promise<void> {
    await this.kill()
    this.#process = await this.#spawn()
  }

  async stop(): Promise<void> {
    await this.kill()
    await removeFolder(this.#folder)
  }
}

function spawnPostgres(port: number, database: string, options: SpawnOptions): Promise<ChildProcess> {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: `${port}`,
    // None: the path of a temporary folder can be too long for one.
    unix_socket_directories: '',
    fsync: 'off',
    full_page_writes: 'off',
  }
  return startServer('postgres', {
    args: [
      '-D',
      database,
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    spawn: options,
    ready: 'database system is ready to accept connections',
    // An immediate shutdown: unlike SIGKILL it also ends the children and frees the shared memory.
    endSignal: 'SIGQUIT',
  })
}
