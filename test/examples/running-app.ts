import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { ended, onDeath } from '../support/programs.ts'

const run = promisify(execFile)

export interface RunningApp {
  readonly url: string
  /** What it has printed. */
  output(): string
  stop(): Promise<void>
}

type Environment = Record<string, string>

/** Runs a script of an example's package.json to its end. */
export async function runScript(folder: string, name: string, env: Environment = {}): Promise<string> {
  const command = await script(folder, name)
  const running = run('sh', ['-c', command], { cwd: folder, env: environment(folder, env) })
  const { stdout } = await running.catch(({ stdout, stderr }: { stdout: string; stderr: string }) => {
    throw new Error(`${command} failed:\n${stdout}${stderr}`)
  })
  return stdout
}

/** Starts an example, and resolves once it answers. */
export async function startApp(folder: string, port: number, env: Environment): Promise<RunningApp> {
  const app = spawn('sh', ['-c', `exec ${await script(folder, 'start')}`], {
    cwd: folder,
    env: environment(folder, { ...env, PORT: `${port}` }),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  app.once('exit', onDeath('kill "$1"', `${app.pid}`))
  let printed = ''
  for (const stream of [app.stdout, app.stderr]) {
    stream.on('data', (chunk) => {
      printed += chunk
    })
  }
  const url = `http://localhost:${port}`
  await answering(app, url).catch(() => {
    throw new Error(`the app ended:\n${printed}`)
  })
  return {
    url,
    output: () => printed,
    stop: async () => {
      app.kill()
      await ended(app)
    },
  }
}

async function answering(app: ChildProcess, url: string): Promise<void> {
  while (app.exitCode === null) {
    if (await fetch(url).catch(() => undefined)) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('ended')
}

async function script(folder: string, name: string): Promise<string> {
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  return (
    (manifest as { scripts: Record<string, string> }).scripts[name] ?? `echo no script ${name} >&2; false`
  )
}

/** As npm runs scripts, in production; without what the test runner sets. */
function environment(folder: string, env: Environment): NodeJS.ProcessEnv {
  const bins = [folder, join(folder, '..')].map((parent) => join(parent, 'node_modules/.bin'))
  const path = [...bins, process.env.PATH].join(delimiter)
  const { HOME } = process.env
  return { HOME, NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1', ...env, PATH: path }
}
