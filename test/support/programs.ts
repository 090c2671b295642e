import { type ChildProcess, execFile, type SpawnOptions, spawn } from 'node:child_process'
import { accessSync, globSync, constants as modes } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from './free-port.ts'
import { SKIPPING } from './not-installed.ts'

const run = promisify(execFile)

/** Which packages bring them, on Debian and with Homebrew. */
const packages = {
  'redis-server': ['redis-server', 'redis'],
  openssl: ['openssl', 'openssl'],
  initdb: ['postgresql', 'postgresql@17'],
  postgres: ['postgresql', 'postgresql@17'],
  memcached: ['memcached', 'memcached'],
  mariadbd: ['mariadb-server', 'mariadb'],
  etcd: ['etcd-server', 'etcd'],
} as const

/** A program that some tests start. */
export type Program = keyof typeof packages

/** The path of a program, or undefined where it is not installed. */
export function findProgram(name: Program): string | undefined {
  const onPath = (process.env.PATH ?? '').split(delimiter).filter(Boolean)
  return [...onPath, '/usr/sbin', ...offPath()].map((folder) => join(folder, name)).find(isExecutable)
}

/** The path of a program that must be installed. */
export function requireProgram(name: Program): string {
  const path = findProgram(name)
  if (path === undefined) {
    throw new Error(howToInstall(name))
  }
  return path
}

/**
 * For `describe.skipIf`: true, with a warning, if one of the programs is not installed.
 * On CI nothing is skipped in silence: there it throws.
 */
export function missingProgram(...names: readonly Program[]): boolean {
  const missing = names.filter((name) => findProgram(name) === undefined)
  for (const name of missing) {
    if (process.env.CI === 'true') {
      throw new Error(howToInstall(name))
    }
    console.warn(SKIPPING + howToInstall(name))
  }
  return missing.length > 0
}

/** How a server program is run and ended. */
export interface ServerOptions {
  readonly args: readonly string[]
  readonly spawn: SpawnOptions
  /** What it prints once it accepts connections. */
  readonly ready: string
  /** The signal that ends it and leaves nothing behind. */
  readonly endSignal: NodeJS.Signals
}

const folders = new Map<string, () => void>()

/** A new temporary folder. It is removed with this process at the latest. */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'msal-keyv-'))
  folders.set(folder, onDeath('sleep 1; rm -rf "$1"', folder))
  return folder
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true })
  folders.get(folder)?.()
  folders.delete(folder)
}

/** Starts a server and resolves once it is ready. It ends with this process at the latest. */
export async function startServer(name: Program, options: ServerOptions): Promise<ChildProcess> {
  const server = spawn(requireProgram(name), options.args, {
    ...options.spawn,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const signal = constants.signals[options.endSignal]
  server.once('exit', onDeath('kill -"$1" "$2"', `${signal}`, `${server.pid}`))
  return new Promise((resolve, reject) => {
    let output = ''
    const read = (chunk: Buffer) => {
      output += chunk
      if (output.includes(options.ready)) {
        // The pipes are drained for as long as the server lives: full ones would stop it.
        server.stdout?.off('data', read).resume()
        server.stderr?.off('data', read).resume()
        resolve(server)
      }
    }
    server.stdout?.on('data', read)
    server.stderr?.on('data', read)
    server.once('error', reject)
    server.once('close', () => reject(new Error(`${name} ended before it was ready:\n${output}`)))
  })
}

/** Starts a server on a free port, and on another one if somebody else has taken that meanwhile. */
export async function startOnFreePort<T>(start: (port: number) => Promise<T>): Promise<T> {
  for (let attempts = 5; ; attempts--) {
    try {
      return await start(await freePort())
    } catch (error) {
      const taken = error instanceof Error && /address already in use/i.test(error.message)
      if (!taken || attempts === 1) {
        throw error
      }
    }
  }
}

/** Many servers refuse to run as root: the user they run as instead, or undefined for whoever runs the tests. */
export async function unprivilegedUser(
  preferred = 'nobody',
): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const id = async (...args: string[]) => Number((await run('id', args)).stdout)
  const name = await id('-u', preferred).then(
    () => preferred,
    () => 'nobody',
  )
  return { uid: await id('-u', name), gid: await id('-g', name) }
}

/** Resolves once the process has ended. */
export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    await new Promise((resolve) => child.once('exit', resolve))
  }
}

/**
 * Has a shell run a script once this process is dead, and returns how to call that off. An 'exit' handler is
 * not enough: Vitest ends its workers by signals, and SIGKILLs them when it is interrupted itself.
 */
export function onDeath(script: string, ...args: readonly string[]): () => void {
  // `read` returns when the other end of the pipe, here, is closed.
  const guard = spawn('sh', ['-c', `read -r _; ${script}`, 'sh', ...args], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  guard.unref()
  return () => guard.kill('SIGKILL')
}

function howToInstall(name: Program): string {
  const [debian, homebrew] = packages[name]
  return `${name}: apt-get install ${debian}, or brew install ${homebrew}`
}

/** Debian and Homebrew keep PostgreSQL's server programs off the PATH, in a folder per version; newest first. */
function offPath(): string[] {
  const folders = [
    '/usr/lib/postgresql/*/bin',
    '/opt/homebrew/opt/postgresql@*/bin',
    '/usr/local/opt/postgresql@*/bin',
  ]
  return globSync(folders).sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, modes.X_OK)
    return true
  } catch {
    return false
  }
}
