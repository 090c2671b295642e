// What the matrix installs: runtimes, compilers, and projects with the packed library.
import { execFile } from 'node:child_process'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from '../tracked.ts'

const run = promisify(execFile)

export interface Runtime {
  /** With its exact version. */
  readonly name: string
  readonly isNode: boolean
  readonly command: string
  readonly args: readonly string[]
}

export interface Project {
  readonly folder: string
  /** Exact versions. */
  readonly msal: string
  readonly keyv: string
  readonly redis: string
  /** What npm had to be told, beyond what to install. */
  readonly flag: string | undefined
}

/** Installs a runtime from npm. @throws when its binary does not come with the package, or does not start */
export async function installRuntime(
  name: 'node' | 'bun' | 'deno',
  version: string,
  folder: string,
): Promise<Runtime> {
  await makeProject(folder)
  await install(folder, [`${name}@${version}`])
  const command = join(folder, 'node_modules/.bin', name)
  const { stdout } = await run(command, ['--version'])
  const [exact = ''] = /\d+\.\d+\.\d+/.exec(stdout) ?? []
  const title = { node: 'Node', bun: 'Bun', deno: 'Deno' }[name]
  const args = name === 'deno' ? ['run', '--allow-all', '--quiet'] : []
  return { name: `${title} ${exact}`, isNode: name === 'node', command, args }
}

/** @returns the compiler's script, and its exact version */
export async function installTypeScript(
  version: string,
  folder: string,
): Promise<{ tsc: string; version: string }> {
  await makeProject(folder)
  await install(folder, [`typescript@${version}`])
  return { tsc: join(folder, 'node_modules/.bin/tsc'), version: await versionOf(folder, 'typescript') }
}

/** A project that has installed the packed library as README.md says, with these versions of its peers. */
export async function installProject(
  tarball: string,
  peers: { msal: string; keyv: string },
  folder: string,
): Promise<Project> {
  await makeProject(folder)
  const packages = [tarball, `@azure/msal-node@${peers.msal}`, `keyv@${peers.keyv}`, '@keyv/redis@5']
  const flag = await install(folder, packages).then(
    () => undefined,
    async (error: { stderr?: string }) => {
      if (!error.stderr?.includes('ERESOLVE')) throw error
      await install(folder, ['--legacy-peer-deps', ...packages])
      return '--legacy-peer-deps'
    },
  )
  await install(folder, ['--no-save', '--legacy-peer-deps', '@types/node@22'])
  // Its driver takes minutes to compile; what is under test is not the driver.
  await symlink(join(root, 'node_modules/@keyv/sqlite'), join(folder, 'node_modules/@keyv/sqlite'))
  const [msal, keyv, redis] = await Promise.all(
    ['@azure/msal-node', 'keyv', '@keyv/redis'].map((name) => versionOf(folder, name)),
  )
  return { folder, msal: `${msal}`, keyv: `${keyv}`, redis: `${redis}`, flag }
}

async function makeProject(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n')
}

async function install(folder: string, packages: readonly string[]): Promise<void> {
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', ...packages], { cwd: folder })
}

async function versionOf(folder: string, name: string): Promise<string> {
  const manifest = await readFile(join(folder, 'node_modules', name, 'package.json'), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
