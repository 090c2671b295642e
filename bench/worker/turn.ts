/** What is timed. */
export type Call = () => Promise<unknown>

/** What one turn of one contender took in one process. */
export interface Turn {
  /** Of each call, in microseconds. */
  readonly latencies: Float64Array
  /** Of all together, in milliseconds. */
  readonly elapsed: number
  /** User and system time of this process, in microseconds. */
  readonly cpu: number
}

/** Makes these calls, so many of them at once. */
export async function time(calls: readonly Call[], concurrency: number): Promise<Turn> {
  const latencies = new Float64Array(calls.length)
  let next = 0
  const lane = async () => {
    for (let index = next++; index < calls.length; index = next++) {
      const begin = performance.now()
      await calls[index]?.()
      latencies[index] = (performance.now() - begin) * 1_000
    }
  }
  const cpu = process.cpuUsage()
  const begin = performance.now()
  await Promise.all(Array.from({ length: Math.min(concurrency, calls.length) }, lane))
  const elapsed = performance.now() - begin
  const { user, system } = process.cpuUsage(cpu)
  return { latencies, elapsed, cpu: user + system }
}
