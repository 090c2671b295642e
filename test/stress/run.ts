import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { closeStore, openStore, type StoreAddress } from '../support/open-store.ts'
import { makeFolder, removeFolder } from '../support/programs.ts'
import { storedText } from '../support/stored.ts'
import { check, type Finding, type Verdict } from './checker.ts'
import type { FaultKind } from './faults.ts'
import { type Entry, type Fault, now, type RecordAtRest } from './history.ts'
import { countAccounts, operationsOf, type Plan } from './operations.ts'
import type { Order, ProcessSettings } from './process.ts'
import { homeAccountIdOf } from './provider.ts'
import { Random } from './random.ts'
import { openRecord } from './sealing.ts'

export interface StressOptions {
  readonly plan: Plan
  readonly store: StoreAddress
  /** Which Keyv the processes use, in turn. */
  readonly keyvMajors: readonly (5 | 6)[]
  /** Of random operations, in milliseconds; longer, up to four times, where a slow machine does too little. */
  readonly duration: number
  /** How many operations are enough. */
  readonly operations: number
  readonly faults: readonly FaultKind[]
  /** The longest time from one fault to the next, in milliseconds. */
  readonly respite: number
  /** Of every plugin, in milliseconds. */
  readonly storeTimeout: number
  /** How long after its call failed a write may still reach the store, in milliseconds. */
  readonly settle: number
  /** The library to test, as an URL. */
  readonly library?: string
}

export interface StressReport extends Verdict {
  /** Without those that the store failed. */
  readonly operations: number
  /** How long the random operations went on, in milliseconds. */
  readonly elapsed: number
  /** How often each kind of operation ended how. */
  readonly outcomes: Readonly<Record<string, number>>
  readonly faults: Readonly<Record<string, number>>
  /** Accounts with a working refresh token in the end. */
  readonly signedIn: number
  /** Operations that are not what the seed says. */
  readonly unplanned: number
  /** What the processes wrote to their standard error. */
  readonly complaints: string
}

const LIBRARY = new URL('../../src/index.ts', import.meta.url).href
const SCRIPT = new URL('./process.ts', import.meta.url)
const LONGEST_FREEZE = 1_500

/** Has many processes work on one store, disturbs them, and checks what they saw. */
export async function stress(options: StressOptions): Promise<StressReport> {
  const { plan, settle, storeTimeout } = options
  const folder = await makeFolder()
  const processes: StressProcess[] = []
  try {
    for (let n = 0; n < plan.processes; n++) processes.push(StressProcess.start(options, n, folder))
    const all = (order: Order | 'ready') => Promise.all(processes.map((each) => each.carryOut(order)))
    await all('ready')
    await all('begin')
    await all('run')
    const begin = now()
    const faults = await disturb(options, processes)
    const elapsed = (now() - begin) / 1e6
    await all('stop')
    await delay(settle)
    await all('verify')
    const records = await readRecords(options)
    await all('end')
    const entries: Entry[] = []
    for (const each of processes) for await (const entry of each.history()) entries.push(entry)
    const verdict = check({ entries, faults, records }, { settle, lockPatience: storeTimeout / 2 })
    const complaints = processes.map((each) => each.complaints).join('')
    const unplanned = countUnplanned(plan, entries)
    return { ...verdict, ...summary(entries, faults), elapsed, unplanned, complaints }
  } finally {
    for (const each of processes) each.kill()
    await removeFolder(folder)
  }
}

/** For people: how much was done, and what was found. */
export function describeReport(name: string, { plan }: StressOptions, report: StressReport): string {
  const { operations, elapsed, outcomes, faults, signedIn, checks, losses, violations } = report
  const seconds = elapsed / 1000
  const lines = [
    `${name}: ${plan.processes} processes, ${plan.accounts} accounts, seed ${plan.seed}`,
    `  ${operations} operations in ${Math.round(seconds)} s (${Math.round(operations / seconds)} a second)`,
    `  ${signedIn} accounts have a working refresh token in the end`,
    `  outcomes: ${listed(outcomes)}`,
    `  faults: ${listed(faults)}`,
    `  checked: ${listed(checks)}`,
    `  sign-ins lost as the design allows: ${losses.length}`,
    ...losses.slice(0, 3).map(describeFinding),
    `  violations: ${violations.length}`,
    ...violations.slice(0, 3).map(describeFinding),
  ]
  return lines.join('\n')
}

class StressProcess {
  readonly #child: ChildProcess
  readonly #history: string
  readonly #answers = new Map<string, PromiseWithResolvers<void>>()
  readonly #closed: Promise<unknown>
  readonly #seed: string
  /** How many random operations it has done, about. */
  operations = 0
  /** What it wrote to its standard error: nothing, if all is well. */
  complaints = ''

  private constructor(child: ChildProcess, history: string, seed: string) {
    this.#child = child
    this.#history = history
    this.#seed = seed
    // Not 'exit': it may come before the last message, and before the last words on standard error.
    this.#closed = once(child, 'close')
    child.on('message', (answer) => {
      if (typeof answer === 'number') this.operations += answer
      else this.#answer(String(answer)).resolve()
    })
    child.stderr?.on('data', (chunk: Buffer) => {
      this.complaints += chunk
    })
  }

  static start(options: StressOptions, n: number, folder: string): StressProcess {
    const { plan, store, storeTimeout, library = LIBRARY } = options
    const history = join(folder, `history-${n}.jsonl`)
    const keyvMajor = options.keyvMajors[n % options.keyvMajors.length] ?? 5
    const settings: ProcessSettings = { plan, process: n, store, keyvMajor, storeTimeout, library, history }
    const child = fork(SCRIPT, [JSON.stringify(settings)], { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] })
    return new StressProcess(child, history, plan.seed)
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Resolves when it is done. A process that ends before, or not by itself, has crashed. */
  async carryOut(order: Order | 'ready'): Promise<void> {
    if (order !== 'ready') this.#child.send(order, () => {})
    const done = order === 'end' ? this.#closed : this.#answer(order).promise
    await Promise.race([done, this.#closed])
    const { exitCode, signalCode } = this.#child
    if (order === 'end' ? exitCode === 0 : !this.hasEnded) return
    const end = `by ${exitCode ?? signalCode}, at "${order}", seed ${this.#seed}`
    throw new Error(`a process of the run has ended ${end}:\n${this.complaints}`)
  }

  #answer(order: string): PromiseWithResolvers<void> {
    const answer = this.#answers.get(order) ?? Promise.withResolvers<void>()
    this.#answers.set(order, answer)
    return answer
  }

  async *history(): AsyncGenerator<Entry> {
    for await (const line of createInterface({ input: createReadStream(this.#history) })) {
      yield JSON.parse(line) as Entry
    }
  }

  freeze(): void {
    this.#child.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child.kill('SIGCONT')
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}

/** One fault after the other, with pauses between them, until the time is over. */
async function disturb(options: StressOptions, processes: readonly StressProcess[]): Promise<Fault[]> {
  const { plan, duration } = options
  const random = new Random(plan.seed, 'faults')
  const faults: Fault[] = []
  const begun = now()
  const left = () => {
    const elapsed = (now() - begun) / 1e6
    const done = processes.reduce((sum, { operations }) => sum + operations, 0)
    const isEnough = done >= options.operations || elapsed > 4 * duration
    if (processes.some(({ hasEnded }) => hasEnded)) return 0
    return elapsed < duration ? duration - elapsed : isEnough ? 0 : 1_000
  }
  for (let turn = random.below(options.faults.length + 1); ; turn++) {
    await delay(Math.min(left(), random.between(100, options.respite)))
    const frozen = processes[random.below(processes.length)]
    const kinds = [...options.faults, ...(frozen === undefined ? [] : [freezing(frozen)])]
    const kind = kinds[turn % kinds.length]
    const length = kind === undefined ? 0 : random.between(kind.shortest, kind.longest)
    const rest = left()
    if (kind === undefined || rest === 0) break
    if (rest < length) continue
    const begin = now()
    await kind.begin()
    try {
      await delay(length)
    } finally {
      await kind.end()
    }
    faults.push({ name: kind.name, begin, end: now() })
  }
  return faults
}

/** A process that stands still in the middle of whatever it does, as under a debugger or in a machine that moves. */
function freezing(process: StressProcess): FaultKind {
  const begin = () => process.freeze()
  return { name: 'process frozen', shortest: 20, longest: LONGEST_FREEZE, begin, end: () => process.thaw() }
}

async function readRecords({ plan, store }: StressOptions): Promise<RecordAtRest[]> {
  const keyv = await openStore(store)
  const records: RecordAtRest[] = []
  try {
    for (let account = 0; account < countAccounts(plan); account++) {
      const homeAccountId = homeAccountIdOf(account)
      const stored = await storedText(keyv, homeAccountId)
      if (stored !== '') records.push({ account, text: openRecord(stored, homeAccountId) })
    }
  } finally {
    await closeStore(keyv)
  }
  return records
}

function summary(entries: readonly Entry[], faults: readonly Fault[]) {
  const failed = entries.filter(({ outcome }) => /failure|failed/.test(outcome.is)).length
  const signedIn = entries.filter(
    ({ last, operation, outcome }) => last && operation.kind === 'refresh' && outcome.is === 'token',
  ).length
  const outcomes = countBy(entries, ({ operation, outcome }) => `${operation.kind}: ${outcome.is}`)
  return {
    operations: entries.length - failed,
    outcomes,
    faults: countBy(faults, ({ name }) => name),
    signedIn,
  }
}

/** Each lane has to have done what the plan says, in its order. */
function countUnplanned(plan: Plan, entries: readonly Entry[]): number {
  let unplanned = 0
  const lanes = Map.groupBy(
    entries.filter(({ lane }) => lane !== undefined),
    ({ process, lane }) => `${process}/${lane}`,
  )
  for (const done of lanes.values()) {
    const [{ process = 0, lane = 0 } = {}] = done
    const planned = operationsOf(plan, process, lane)
    for (const { operation } of done) {
      const { latency, ...expected } = planned.next().value
      if (!isDeepStrictEqual(operation, expected)) unplanned++
    }
  }
  return unplanned
}

function countBy<Item>(items: readonly Item[], nameOf: (item: Item) => string): Record<string, number> {
  return Object.fromEntries([...Map.groupBy(items, nameOf)].map(([name, all]) => [name, all.length]).sort())
}

function listed(counts: Readonly<Record<string, number>>): string {
  const all = Object.entries(counts).map(([name, count]) => `${name} ${count}`)
  return all.length === 0 ? 'none' : all.join(', ')
}

function describeFinding({ rule, account, what, entries }: Finding): string {
  const zero = entries[0]?.begin ?? 0
  const time = (at: number) => `${((at - zero) / 1e6).toFixed(3)} ms`
  const steps = entries.map(
    ({ operation, process, begin, end, outcome, chain }) =>
      `      process ${process} ${operation.kind} ${chain ?? ''} from ${time(begin)} to ${time(end)}: ` +
      JSON.stringify(outcome),
  )
  return [`    ${rule}, account ${account}: ${what}`, ...steps].join('\n')
}
