import { randomInt } from 'node:crypto'
import { onTestFailed } from 'vitest'

/** What a test draws its random choices from. If it fails, it prints the seed; `SEED=…` repeats them. */
export function drawSeed(): number {
  const seed = Number(process.env.SEED ?? randomInt(2 ** 31))
  onTestFailed(({ task }) => console.error(`"${task.name}" failed with SEED=${seed}`))
  return seed
}
