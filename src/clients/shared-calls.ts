interface Running<Result> {
  readonly outcome: Promise<Result>
}

/**
 * Lets equal concurrent calls share one run.
 *
 * A call takes the outcome of a run that began after itself as it is. A run that began before may rest on a load
 * from before an eviction or a sign-in which the call knows of: its result counts only if it still holds, and its
 * failure not at all.
 */
export class SharedCalls<Result> {
  readonly #running = new Map<string, Running<Result>>()

  /**
   * @param key everything that can change the answer; a call without one is not shared
   * @param run makes the call
   * @param stillHolds asks whether a result of an earlier run is good for a call that begins now
   */
  async call(
    key: string | undefined,
    run: () => Promise<Result>,
    stillHolds: (result: Result) => Promise<boolean>,
  ): Promise<Result> {
    if (key === undefined) return run()
    const earlier = this.#running.get(key)
    if (earlier !== undefined) {
      const [outcome] = await Promise.allSettled([earlier.outcome])
      if (outcome.status === 'fulfilled' && (await stillHolds(outcome.value))) return outcome.value
    }
    const later = this.#running.get(key)
    if (later !== undefined && later !== earlier) return later.outcome
    return this.#lead(key, run)
  }

  async #lead(key: string, run: () => Promise<Result>): Promise<Result> {
    const running: Running<Result> = { outcome: run() }
    this.#running.set(key, running)
    try {
      return await running.outcome
    } finally {
      if (this.#running.get(key) === running) this.#running.delete(key)
    }
  }
}

/** The correlation id is for logs, and the incoming token is part of what is asked, as its digest. */
const NO_PART_OF_IT = new Set(['correlationId', 'oboAssertion'])

/**
 * A text that is equal for requests that are equal, in whatever order their members and scopes stand.
 * @param question what is asked beside the request
 * @returns undefined for a request that cannot be compared: it holds a function, a set or a map
 */
export function requestKey(question: unknown, request: object): string | undefined {
  try {
    return JSON.stringify([question, inOrder(request)])
  } catch (error) {
    if (error instanceof Incomparable) return undefined
    throw error
  }
}

class Incomparable extends Error {}

function inOrder(value: unknown, name?: string): unknown {
  if (typeof value === 'function') throw new Incomparable()
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return value
  if (Array.isArray(value)) {
    return name === 'scopes' ? [...new Set(value.map(String))].sort() : value.map((each) => inOrder(each))
  }
  if (value instanceof Set || value instanceof Map) throw new Incomparable()
  const names = Object.keys(value).filter((each) => !NO_PART_OF_IT.has(each))
  return Object.fromEntries(names.sort().map((each) => [each, inOrder(Reflect.get(value, each), each)]))
}
