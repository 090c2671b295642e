/** Pure functions of samples. */

/**
 * The smallest sample that at least a share `q` of them does not exceed (nearest rank).
 * @returns NaN without samples
 */
export function quantile(samples: ArrayLike<number>, q: number): number {
  const sorted = Float64Array.from(samples).sort()
  const rank = Math.ceil(q * sorted.length)
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1] ?? Number.NaN
}

/** The middle sample, or the mean of the two in the middle. */
export function median(samples: ArrayLike<number>): number {
  const sorted = Float64Array.from(samples).sort()
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

export interface Ratio {
  readonly median: number
  readonly lower: number
  readonly upper: number
}

/**
 * How many times `over` each round of `of` took. The rounds are those of one interleaved run, so what disturbed the
 * machine disturbed both of a pair.
 * @returns the pairs' median and quartiles
 * @throws {RangeError} when the rounds do not pair
 */
export function pairedRatio(of: readonly number[], over: readonly number[]): Ratio {
  if (of.length !== over.length || of.length === 0) throw new RangeError('rounds of one run come in pairs')
  const ratios = of.map((value, round) => value / (over[round] ?? Number.NaN))
  return { median: median(ratios), lower: quantile(ratios, 0.25), upper: quantile(ratios, 0.75) }
}

/** As many significant digits as such a measurement has. */
export function rounded(value: number, digits = 4): number {
  return Number(value.toPrecision(digits))
}
