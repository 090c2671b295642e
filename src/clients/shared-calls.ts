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
   * @param key everything that can change the answer
   * @param run makes the call
   * @param stillHolds asks whether a result of an earlier run is good for a call that begins now
   */
  async call(
    key: string,
    run: () => Promise<Result>,
    stillHolds: (result: Result) => Promise<boolean>,
  ): Promise<Result> {
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

/**
 * A text that is equal for requests that are equal, in whatever order their members and scopes stand. The correlation
 * id is for logs and changes no answer.
 * @param owner whose tokens are asked for, its members in an order of their own
 */
export function requestKey(flow: string, owner: unknown, request: object): string {
  return JSON.stringify([flow, owner, inOrder(request)])
}

function inOrder(value: unknown, name?: string): unknown {
  if (typeof value === 'function') throw new TypeError('a request holds no functions')
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return value
  if (Array.isArray(value)) {
    return name === 'scopes' ? [...new Set(value.map(String))].sort() : value.map((each) => inOrder(each))
  }
  const names = Object.keys(value).filter((each) => each !== 'correlationId')
  return Object.fromEntries(names.sort().map((each) => [each, inOrder(Reflect.get(value, each), each)]))
}
