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
  return { project, runtime, store, verdict: 'does not', note: `\`${oneLine(first)}\`` }
}

/** The process ended before it had run the contract. */
export function crash(
  project: Project,
  runtime: Runtime,
  store: StoreResult['store'],
  error: Error,
): ContractSeen {
  return {
    project,
    runtime,
    store,
    verdict: 'does not',
    note: `It does not start: \`${oneLine(error.message)}\``,
  }
}

/** Something was printed to standard error although nothing failed: a warning. */
export function stderrFinding(
  project: Project,
  runtime: Runtime,
  store: StoreResult['store'],
  stderr: string,
): ContractSeen {
  const note = `It prints: \`${oneLine(stderr)}\``
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
        ...projects.map(installed),
        ...contract
          .filter(({ runtime }) => runtime.isNode)
          .map(
            (seen): Finding => ({
              ...cellOf(seen.project),
              verdict: seen.verdict,
              note: whereOf(seen, contract),
            }),
          ),
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
  if (project.flag === undefined) return { ...cellOf(project), verdict: 'works' }
  const note = `\`npm install ${project.flag}\`: @keyv/redis ${project.redis} asks for Keyv 5. Without an adapter, npm installs it as it is.`
  return { ...cellOf(project), verdict: 'works, but', note }
}

/** The note, with the versions of Node that it concerns where it does not concern all of them. */
function whereOf({ project, note }: ContractSeen, contract: readonly ContractSeen[]): string | undefined {
  if (note === undefined) return undefined
  const here = contract.filter((it) => it.project === project && it.runtime.isNode)
  const some = here.filter((it) => it.note === note)
  return runtimeNames(some) === runtimeNames(here) ? note : `On ${runtimeNames(some)}: ${note}`
}

function cellOf(project: Project): { row: string; column: string } {
  return { row: project.msal, column: `Keyv ${project.keyv}` }
}

function runtimeNames(contract: readonly ContractSeen[]): string {
  return [
    ...new Set(contract.filter(({ runtime }) => runtime.isNode).map(({ runtime }) => runtime.name)),
  ].join(', ')
}

/** The first line, without the paths of this machine. */
function oneLine(text: string): string {
  const line = text.split('\n').find((it) => it.trim() !== '') ?? ''
  const short = line.replace(/(file:\/\/)?(\/[\w.@-]+)+\//g, '…/').replaceAll('`', "'")
  return short.trim().slice(0, 200)
}
