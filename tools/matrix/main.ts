// npm run test:matrix: installs the packed library as a user would, with every version that is promised, runs the
// contract on every runtime, compiles a program with every TypeScript, and writes docs/compatibility.md.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MatrixStore } from '../../test/matrix/run.ts'
import { RedisServer } from '../../test/support/redis-server.ts'
import { pack } from '../pack.ts'
import { root } from '../tracked.ts'
import { bundleContract, compile, runContract } from './check.ts'
import {
  type ContractSeen,
  contractFinding,
  crash,
  type Observed,
  stderrFinding,
  tables,
  typesFinding,
} from './findings.ts'
import { installProject, installRuntime, installTypeScript, type Project, type Runtime } from './install.ts'
import { render, withTables } from './table.ts'
import { matrix } from './versions.ts'

const page = join(root, 'docs/compatibility.md')
const folder = await mkdtemp(join(tmpdir(), 'msal-keyv-matrix-'))
const redis = await RedisServer.start()
let files = 0
try {
  const tarball = await pack(folder)
  const script = await bundleContract(folder)
  const observed: Observed = { contract: [], types: [], skipped: [], projects: [] }
  const runtimes = await installRuntimes(observed)
  const compilers = []
  for (const range of matrix.typescript)
    compilers.push(await installTypeScript(range, join(folder, `ts-${range}`)))

  for (const project of await installProjects(tarball)) {
    observed.projects.push(project)
    for (const runtime of runtimes) await tryContract(script, project, runtime, observed)
    if (!isNewest(project)) continue
    for (const { tsc, version } of compilers) {
      for (const resolution of matrix.resolutions) {
        const errors = await compile(tsc, project, resolution)
        observed.types.push(typesFinding(project, version, resolution, errors))
        console.log(`TypeScript ${version}, ${resolution}: ${errors.length} errors`)
      }
    }
  }
  const text = render(tables(observed, new Date()))
  await writeFile(page, withTables(await readFile(page, 'utf8'), text))
} finally {
  await redis.stop()
  await rm(folder, { recursive: true })
}

/** Of its MSAL major: types are compiled with these only. */
function isNewest({ msal }: Project): boolean {
  return !(matrix.msal as readonly string[]).includes(msal)
}

async function installRuntimes(observed: Observed): Promise<Runtime[]> {
  const wanted = [
    ...matrix.node.map((version) => ['node', version] as const),
    ...matrix.otherRuntimes.map((name) => [name, 'latest'] as const),
  ]
  const runtimes: Runtime[] = []
  for (const [name, version] of wanted) {
    try {
      runtimes.push(await installRuntime(name, version, join(folder, `${name}-${version}`)))
    } catch (error) {
      console.error(`NOT TRIED: ${name} ${version} cannot be installed here: ${error}`)
      observed.skipped.push(`${name} ${version}`)
    }
  }
  return runtimes
}

async function installProjects(tarball: string): Promise<Project[]> {
  const projects: Project[] = []
  for (const keyv of matrix.keyv) {
    for (const msal of matrix.msal) {
      const project = await installProject(tarball, { msal, keyv }, join(folder, `msal-${msal}-keyv-${keyv}`))
      // A range and its oldest version can be the same.
      if (!projects.some((it) => it.msal === project.msal && it.keyv === project.keyv)) projects.push(project)
    }
  }
  return projects
}

async function tryContract(script: string, project: Project, runtime: Runtime, { contract }: Observed) {
  console.log(`${runtime.name}, MSAL Node ${project.msal}, Keyv ${project.keyv}`)
  const stores: MatrixStore[] = [
    { kind: 'Map', address: '' },
    { kind: 'SQLite', address: join(folder, `${++files}.sqlite`) },
    { kind: 'Redis', address: redis.url },
  ]
  await redis.command('FLUSHALL')
  const all = await contractOver(stores).catch(() => undefined)
  if (all !== undefined) {
    console.log(all.map(({ store, verdict }) => `  ${store}: ${verdict}`).join('\n'))
    contract.push(...all)
    return
  }
  // Something ended the process: each store by itself, so that it takes nothing else with it.
  for (const store of stores) {
    contract.push(
      ...(await contractOver([store]).catch((error: Error) => [crash(project, runtime, store.kind, error)])),
    )
  }

  async function contractOver(some: readonly MatrixStore[]): Promise<ContractSeen[]> {
    const { results, stderr } = await runContract(script, project, runtime, some)
    const seen = results.map((result) => contractFinding(project, runtime, result))
    return stderr === ''
      ? seen
      : [...seen, ...results.map(({ store }) => stderrFinding(project, runtime, store, stderr))]
  }
}
