/** From values to places, and where the ticks are. */
export interface Scale {
  readonly ticks: readonly number[]
  /** 0 at the beginning of the axis, 1 at its end. */
  at(value: number): number
}

/** From 0 to a round number that is not below any of the values. */
export function linearScale(values: readonly number[], tickCount = 4): Scale {
  const most = Math.max(...values, Number.MIN_VALUE)
  const step = roundUp(most / tickCount)
  const count = Math.ceil(most / step)
  const end = step * count
  return { ticks: Array.from({ length: count + 1 }, (_, n) => n * step), at: (value) => value / end }
}

/** From one power of ten to another. */
export function logScale(values: readonly number[]): Scale {
  const [first, last] = [Math.floor(log(Math.min(...values))), Math.ceil(log(Math.max(...values)))]
  const decades = Math.max(1, last - first)
  return {
    ticks: Array.from({ length: decades + 1 }, (_, n) => 10 ** (first + n)),
    at: (value) => (log(value) - first) / decades,
  }
}

/** The values themselves, as far apart as their logarithms are. */
export function stepScale(values: readonly number[]): Scale {
  const [first, last] = [log(Math.min(...values)), log(Math.max(...values))]
  return { ticks: [...new Set(values)], at: (value) => (log(value) - first) / (last - first || 1) }
}

/** 1, 2 or 5 times a power of ten. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(log(value))
  return power * ([1, 2, 5].find((step) => step * power >= value * (1 - 1e-9)) ?? 10)
}

function log(value: number): number {
  return Math.log10(value)
}
