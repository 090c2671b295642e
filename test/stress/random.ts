/** Numbers drawn from a seed: the same seed, the same numbers. */
export class Random {
  #state: number

  constructor(...seed: readonly (number | string)[]) {
    let state = 2166136261
    for (const character of seed.join('/')) state = Math.imul(state ^ character.charCodeAt(0), 16777619)
    this.#state = state
  }

  /** At least 0 and less than `limit`. The generator is Mulberry32. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }

  /** At least `low` and less than `high`. */
  between(low: number, high: number): number {
    return low + this.below(high - low)
  }

  /** One of the names, as often as its weight says. */
  weighted<Name extends string>(weights: Readonly<Record<Name, number>>): Name {
    const entries = Object.entries(weights) as [Name, number][]
    let left = this.below(entries.reduce((sum, [, weight]) => sum + weight, 0))
    for (const [name, weight] of entries) {
      left -= weight
      if (left < 0) return name
    }
    throw new RangeError('nothing to choose from')
  }
}
