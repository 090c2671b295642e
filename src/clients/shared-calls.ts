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
 */
export function requestKey(request: object): string {
  return JSON.stringify(request, (name, value: unknown) => {
    if (name === 'correlationId') return undefined
    if (name === 'scopes' && Array.isArray(value)) return [...new Set(value.map(String))].sort()
    if (typeof value === 'function') throw new TypeError('a request holds no functions')
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
