import { setImmediate } from 'node:timers/promises'

/** One thing that an actor is about to do. */
export interface Step {
  readonly actor: string
  readonly label: string
}

/** Chooses one of these steps by its index. Without a choice, the run ends there. */
export type Choose = (steps: readonly Step[]) => number | undefined

/**
 * Takes the steps of concurrent actors one at a time, in an order that somebody chooses. A step is whatever an
 * actor asks for with `step`: here each read and write that reaches the store, and each answer of the provider.
 */
export class Schedule {
  readonly #choose: Choose
  readonly #pending: (Step & { readonly run: () => void })[] = []
  /** The order in which actors made their steps. */
  readonly trace: string[] = []
  /** Called while every actor waits. */
  beforeStep: () => void = () => {}

  constructor(choose: Choose) {
    this.#choose = choose
  }

  step<Result>(actor: string, label: string, effect: () => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      const run = () => {
        this.trace.push(`${actor} ${label}`)
        try {
          resolve(effect())
        } catch (error) {
          reject(error)
        }
      }
      this.#pending.push({ actor, label, run })
    })
  }

  /**
   * Lets everything run until no actor has a step to make. `afterStep` sees each state in between.
   * @returns false where no step was chosen, so that the actors never finish
   */
  async run(afterStep: () => unknown = () => {}): Promise<boolean> {
    for (;;) {
      // What follows a step without another one is microtasks: they have all run by the next immediate.
      await setImmediate()
      await afterStep()
      this.beforeStep()
      if (this.#pending.length === 0) return true
      this.#pending.sort((a, b) => a.actor.localeCompare(b.actor))
      const chosen = this.#choose(this.#pending)
      if (chosen === undefined) return false
      const [step] = this.#pending.splice(chosen, 1)
      step?.run()
    }
  }

  /** The actor makes no further step: its process died. */
  crash(actor: string): void {
    for (let index = this.#pending.length - 1; index >= 0; index--) {
      if (this.#pending[index]?.actor === actor) this.#pending.splice(index, 1)
    }
  }
}

/** Whether it makes no difference which of two steps of different actors comes first. */
export type Commute = (one: Step, other: Step) => boolean

/** Where the orders part. */
interface Fork {
  readonly steps: readonly Step[]
  /** Steps that lead to nothing new from here: an order with them first has been taken, and what came since commutes. */
  readonly asleep: ReadonlySet<string>
  readonly tried: Set<string>
  taken: number
}

/**
 * Runs a scenario once for every order there is; of orders that differ only in steps that commute, once for one of
 * them (sleep sets, Godefroid 1996).
 * @returns how many there were
 */
export async function everyOrder(
  scenario: (choose: Choose) => Promise<void>,
  commute: Commute = () => false,
): Promise<number> {
  let orders = 0
  const path: Fork[] = []
  do {
    let depth = 0
    let isNew = true
    await scenario((steps) => {
      const fork = path[depth] ?? nextFork(path[depth - 1], steps, commute)
      if (depth === path.length) path.push(fork)
      depth++
      isNew = fork.taken !== -1
      return isNew ? fork.taken : undefined
    })
    if (isNew) orders++
  } while (backtrack(path))
  return orders
}

function nextFork(before: Fork | undefined, steps: readonly Step[], commute: Commute): Fork {
  const taken = before?.steps[before.taken]
  const asleep = new Set<string>()
  for (const step of before?.steps ?? []) {
    const isCovered = before?.asleep.has(nameOf(step)) || before?.tried.has(nameOf(step))
    if (isCovered && taken !== undefined && commute(step, taken)) asleep.add(nameOf(step))
  }
  const tried = new Set<string>()
  return { steps: [...steps], asleep, tried, taken: firstAwake(steps, asleep, tried) }
}

/** Takes the last fork where there is another way. @returns false where there is none left */
function backtrack(path: Fork[]): boolean {
  for (let fork = path.at(-1); fork !== undefined; fork = path.at(-1)) {
    const step = fork.steps[fork.taken]
    if (step !== undefined) fork.tried.add(nameOf(step))
    fork.taken = firstAwake(fork.steps, fork.asleep, fork.tried)
    if (fork.taken !== -1) return true
    path.pop()
  }
  return false
}

function firstAwake(steps: readonly Step[], asleep: ReadonlySet<string>, tried: ReadonlySet<string>): number {
  return steps.findIndex((step) => !asleep.has(nameOf(step)) && !tried.has(nameOf(step)))
}

function nameOf({ actor, label }: Step): string {
  return `${actor} ${label}`
}
