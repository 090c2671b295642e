import { setImmediate } from 'node:timers/promises'

interface Step {
  readonly actor: string
  readonly run: () => void
}

/** Chooses one of so many steps. */
export type Choose = (alternatives: number) => number

/**
 * Takes the steps of concurrent actors one at a time, in an order that somebody chooses. A step is whatever an
 * actor asks for with `step`: here each read and write that reaches the store, and each answer of the provider.
 */
export class Schedule {
  readonly #choose: Choose
  readonly #pending: Step[] = []
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
      this.#pending.push({ actor, run })
    })
  }

  /** Lets everything run until no actor has a step to make. `afterStep` sees each state in between. */
  async run(afterStep: () => unknown = () => {}): Promise<void> {
    for (;;) {
      // What follows a step without another one is microtasks: they have all run by the next immediate.
      await setImmediate()
      await afterStep()
      this.beforeStep()
      if (this.#pending.length === 0) return
      this.#pending.sort((a, b) => a.actor.localeCompare(b.actor))
      const [step] = this.#pending.splice(this.#choose(this.#pending.length), 1)
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

/** Runs a scenario once for every order there is. @returns how many there were */
export async function everyOrder(scenario: (choose: Choose) => Promise<void>): Promise<number> {
  let orders = 0
  let prefix: number[] | undefined = []
  while (prefix !== undefined) {
    const taken: { choice: number; alternatives: number }[] = []
    const decided: readonly number[] = prefix
    await scenario((alternatives) => {
      const choice = decided[taken.length] ?? 0
      taken.push({ choice, alternatives })
      return choice
    })
    orders++
    prefix = successor(taken)
  }
  return orders
}

/** The choices that lead to the next order, depth first. */
function successor(taken: { choice: number; alternatives: number }[]): number[] | undefined {
  const last = taken.findLastIndex(({ choice, alternatives }) => choice + 1 < alternatives)
  if (last === -1) return undefined
  return taken.slice(0, last + 1).map(({ choice }, index) => (index === last ? choice + 1 : choice))
}
