// What the matrix does in a project: runs the contract on a runtime, and compiles a program.
import { execFile } from 'node:child_process'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'tsup'
import type { MatrixStore, StoreResult } from '../../test/matrix/run.ts'
import { root } from '../tracked.ts'
import type { Project, Runtime } from './install.ts'

const run = promisify(execFile)
const LIBRARY = /\/src\/(?:(graph|migrate|redis)\/)?index\.ts$/

/** Bundles the contract for projects that have installed the library. @returns the script */
export async function bundleContract(folder: string): Promise<string> {
  await build({
    config: false,
    silent: true,
    entry: { contract: join(root, 'test/matrix/run.ts') },
    outDir: folder,
    format: 'esm',
    outExtension: () => ({ js: '.mjs' }),
    target: 'node22',
    removeNodeProtocol: false,
    external: [/^[^./]/],
    esbuildPlugins: [
      {
        name: 'the installed library',
        setup: (it) =>
          it.onResolve({ filter: LIBRARY }, ({ path }) => ({ path: installed(path), external: true })),
      },
    ],
  })
  return join(folder, 'contract.mjs')
}

/** The door that a module of `src` is, as a host imports it. */
function installed(path: string): string {
  const [, door] = LIBRARY.exec(path) ?? []
  return door === undefined ? 'msal-keyv' : `msal-keyv/${door}`
}

export interface ContractRun {
  readonly results: readonly StoreResult[]
  /** What it printed besides, such as a warning. */
  readonly stderr: string
}

/** Runs the contract over these stores. @throws with what the script printed, when it fails itself */
export async function runContract(
  script: string,
  project: Project,
  runtime: Runtime,
  stores: readonly MatrixStore[],
): Promise<ContractRun> {
  const copy = join(project.folder, 'contract.mjs')
  await cp(script, copy)
  const args = [...runtime.args, copy, JSON.stringify(stores)]
  const { stdout, stderr } = await run(runtime.command, args, {
    cwd: project.folder,
    timeout: 120_000,
  }).catch(({ stderr, signal }: { stderr?: string; signal?: string }) => {
    const said = stderr?.split('\n').find((line) => /^\w*(Error|error)/.test(line))
    throw new Error(said ?? `ended by ${signal ?? 'itself'}, and said nothing`)
  })
  const last = stdout.trim().split('\n').at(-1) ?? ''
  return { results: JSON.parse(last) as StoreResult[], stderr: stderr.trim() }
}

/** The compiler's errors about a host's program, with `skipLibCheck` off, each on one line. */
export async function compile(tsc: string, project: Project, resolution: string): Promise<string[]> {
  const program = await readFile(join(root, 'test/matrix/program.ts'), 'utf8')
  await writeFile(
    join(project.folder, 'program.ts'),
    program.replace(/'[./]+\/src\/(?:\w+\/)?index\.ts'/g, (path) => `'${installed(path.slice(1, -1))}'`),
  )
  const compilerOptions = {
    target: 'es2023',
    module: resolution === 'bundler' ? 'esnext' : resolution,
    moduleResolution: resolution,
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
  }
  const config = join(project.folder, 'tsconfig.json')
  await writeFile(config, JSON.stringify({ compilerOptions, files: ['program.ts'] }))
  return run(tsc, ['--project', config, '--pretty', 'false'], { cwd: project.folder }).then(
    () => [],
    (error: { stdout?: string }) => {
      const lines = (error.stdout ?? '').split('\n').filter((line) => /error TS\d+/.test(line))
      return lines.length > 0 ? lines : [String(error)]
    },
  )
}
