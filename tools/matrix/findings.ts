// From what was seen to what the tables say: pure.
import type { StoreResult } from '../../test/matrix/run.ts'
import type { Project, Runtime } from './install.ts'
import type { Finding, Table, Verdict } from './table.ts'
import { recommended } from './versions.ts'

interface Seen {
  readonly project: Project
  readonly verdict: Verdict
  readonly note?: string | undefined
}

export interface ContractSeen extends Seen {
  readonly runtime: Runtime
  readonly store: StoreResult['store']
}

export interface TypesSeen extends Seen {
  readonly typescript: string
  readonly resolution: string
}

/** All that one run of the matrix has seen. */
export interface Observed {
  readonly projects: Project[]
  readonly contract: ContractSeen[]
  readonly types: TypesSeen[]
  /** Runtimes that could not be installed. */
  readonly skipped: string[]
}

export function contractFinding(project: Project, runtime: Runtime, result: StoreResult): ContractSeen {
  const { store, passed, failures } = result
  if (failures.length === 0 && passed > 0) return { project, runtime, store, verdict: 'works' }
  const [first = 'nothing ran'] = failures
  const count = passed + failures.length
  const note = `${store} on ${runtime.name}: ${passed} of ${count} scenarios hold. The first that does not: \`${oneLine(first)}\``
  return { project, runtime, store, verdict: 'does not', note }
}

/** Something was printed to standard error although nothing failed: a warning. */
export function stderrFinding(
  project: Project,
  runtime: Runtime,
  store: StoreResult['store'],
  stderr: string,
): ContractSeen {
  const note = `${runtime.name} prints: \`${oneLine(stderr)}\``
  return { project, runtime, store, verdict: 'works, but', note }
}

/** Errors in declarations of others are theirs: our types work there with `skipLibCheck`. */
export function typesFinding(
  project: Project,
  typescript: string,
  resolution: string,
  errors: readonly string[],
): TypesSeen {
  const seen = { project, typescript, resolution }
  const ours = errors.filter((error) => /^program\.ts|node_modules\/msal-keyv\//.test(error))
  const [first = errors[0]] = ours
  if (first === undefined) return { ...seen, verdict: 'works' }
  const peers = `MSAL Node ${project.msal} and Keyv ${project.keyv}`
  if (ours.length > 0) {
    return { ...seen, verdict: 'does not', note: `With ${peers}: \`${oneLine(first)}\`` }
  }
  const names = errors.map((error) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(error)?.[1] ?? 'TypeScript')
  const whose = [...new Set(names)].map((name) => `\`${name}\``).join(', ')
  const note = `With \`skipLibCheck\`: the declarations of ${whose} do not compile.`
  return { ...seen, verdict: 'works, but', note }
}

export function tables(observed: Observed, date: Date): Table[] {
  const { contract, types, projects, skipped } = observed
  const chosen = projects.findLast(
    ({ msal, keyv }) => msal.startsWith(`${recommended.msal}.`) && keyv === recommended.keyv,
  )
  const stores = [...new Set(contract.map(({ store }) => store))]
  const day = date.toISOString().slice(0, 10)
  return [
    {
      title: 'Runtimes',
      intro: `On ${day}, with MSAL Node ${chosen?.msal}, Keyv ${chosen?.keyv} and @keyv/redis ${chosen?.redis}.`,
      rows: 'runtime',
      findings: [
        ...contract
          .filter(({ project }) => project === chosen)
          .map(
            ({ runtime, store, verdict, note }): Finding => ({
              row: runtime.name,
              column: store,
              verdict,
              note,
            }),
          ),
        ...skipped.flatMap((row) =>
          stores.map(
            (column): Finding => ({
              row,
              column,
              verdict: 'not tried',
              note: `${row} could not be installed.`,
            }),
          ),
        ),
      ],
    },
    {
      title: 'MSAL Node and Keyv',
      intro: `On ${day}, each on ${runtimeNames(contract)}, over a Map, SQLite and Redis.`,
      rows: 'MSAL Node',
      findings: [
        ...projects.filter(({ flag }) => flag !== undefined).map(installed),
        ...contract
          .filter(({ runtime }) => runtime.isNode)
          .map(({ project, verdict, note }): Finding => ({ ...cellOf(project), verdict, note })),
      ],
    },
    {
      title: 'TypeScript',
      intro: `On ${day}, with \`skipLibCheck\` off, \`strict\` and \`exactOptionalPropertyTypes\` on, and each MSAL Node and Keyv of the table above.`,
      rows: 'TypeScript',
      findings: types.map(
        ({ typescript, resolution, verdict, note }): Finding => ({
          row: typescript,
          column: resolution,
          verdict,
          note,
        }),
      ),
    },
  ]
}

function installed(project: Project): Finding {
  const note = `\`npm install ${project.flag}\`: @keyv/redis ${project.redis} asks for Keyv 5. Without an adapter, npm installs it as it is.`
  return { ...cellOf(project), verdict: 'works, but', note }
}

function cellOf(project: Project): { row: string; column: string } {
  return { row: project.msal, column: `Keyv ${project.keyv}` }
}

function runtimeNames(contract: readonly ContractSeen[]): string {
  return [
    ...new Set(contract.filter(({ runtime }) => runtime.isNode).map(({ runtime }) => runtime.name)),
  ].join(', ')
}

function oneLine(text: string): string {
  return (text.split('\n').find((line) => line.trim() !== '') ?? '').trim().replaceAll('`', "'").slice(0, 200)
}
