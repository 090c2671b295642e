import { randomBytes } from 'node:crypto'
import type { Profile } from './profile.ts'
import type { Entrant, Group, HeapMeasurement, Measurement } from './results.ts'
import { Servers } from './servers.ts'
import { median, quantile, rounded } from './statistics.ts'
import type { Counts, Spec } from './worker/commands.ts'
import type { LibraryName } from './worker/library.ts'
import type { Turn } from './worker/turn.ts'
import { Worker } from './worker/worker.ts'

/** The scenarios whose store calls and bytes are counted: in the others they are the same. */
const COUNTED: ReadonlySet<string> = new Set(['hit', 'operations'])

/** Measures a group in processes of its own, over stores of its own: round by round, everybody in turn. */
export async function runGroup(group: Group, profile: Profile, library: LibraryName): Promise<Measurement[]> {
  const { entrants, processes, scenario, concurrency } = group
  const servers = new Servers()
  const workers = Array.from({ length: processes }, () => new Worker())
  try {
    const spec = await specOf(group, profile.served, library, servers)
    await Promise.all(workers.map((worker) => worker.call('open', spec)))
    await workers[0]?.call('populate')
    const counts = COUNTED.has(scenario) && concurrency === 1 ? await countEach(workers[0], entrants) : []
    const turns: Turn[][][] = entrants.map(() => [])
    for (let round = -profile.warmUpRounds; round < profile.rounds; round++) {
      for (const index of inTurn(entrants.length, round)) {
        const all = await Promise.all(workers.map((worker) => worker.call('turn', index, profile.turn)))
        if (round >= 0) turns[index]?.push(all)
      }
    }
    await Promise.all(workers.map((worker) => worker.call('close')))
    return entrants.map((entrant, index) => ({
      ...settingOf(group, entrant),
      ...summary(turns[index] ?? []),
      ...counts[index],
    }))
  } finally {
    await Promise.all(workers.map((worker) => worker.end()))
    await servers.stop()
  }
}

/** Each in a fresh process, over a Redis that another process has filled. */
export async function runHeap(
  entrants: readonly Entrant[],
  library: LibraryName,
): Promise<HeapMeasurement[]> {
  const servers = new Servers()
  const workers: Worker[] = []
  const start = () => {
    const worker = new Worker()
    workers.push(worker)
    return worker
  }
  try {
    const most = Math.max(...entrants.map(({ accounts }) => accounts))
    const spec = await specOf({ operation: 'hit', concurrency: 1, entrants }, most, library, servers)
    const filler = start()
    await filler.call('open', spec)
    await filler.call('populate')
    await filler.end()
    const results: HeapMeasurement[] = []
    for (const [index, entrant] of entrants.entries()) {
      const worker = start()
      await worker.call('open', spec)
      results.push({ ...entrant, ...(await worker.call('serve', index)) })
      await worker.end()
    }
    return results
  } finally {
    await Promise.all(workers.map((worker) => worker.end()))
    await servers.stop()
  }
}

async function specOf(
  { operation, concurrency, entrants }: Pick<Group, 'operation' | 'concurrency' | 'entrants'>,
  served: number,
  library: LibraryName,
  servers: Servers,
): Promise<Spec> {
  const located: Spec['entrants'][number][] = []
  for (const entrant of entrants) {
    located.push({ ...entrant, address: await servers.addressFor(entrant) })
  }
  const encryptionKeys = [{ id: 'bench', key: randomBytes(32).toString('base64url') }]
  return { library, operation, concurrency, served, entrants: located, encryptionKeys }
}

async function countEach(worker: Worker | undefined, entrants: readonly Entrant[]): Promise<Counts[]> {
  const counts: Counts[] = []
  for (const index of entrants.keys()) {
    const counted = await worker?.call('count', index)
    if (counted !== undefined) counts.push({ ...counted, bytes: Math.round(counted.bytes) })
  }
  return counts
}

/** All indices, beginning with another one in each round. */
function inTurn(length: number, round: number): number[] {
  return Array.from({ length }, (_, n) => (n + Math.abs(round)) % length)
}

function settingOf({ scenario, operation, concurrency, processes }: Group, entrant: Entrant) {
  return { scenario, operation, concurrency, processes, ...entrant }
}

/** @param rounds of each, the turns that the processes took at the same time */
function summary(rounds: readonly (readonly Turn[])[]) {
  const turns = rounds.flat()
  const latencies = turns.flatMap((turn) => [...turn.latencies])
  const perSecond = rounds.map((round) =>
    round.reduce((sum, turn) => sum + (turn.latencies.length / turn.elapsed) * 1_000, 0),
  )
  const cpu = turns.reduce((sum, turn) => sum + turn.cpu, 0)
  return {
    calls: latencies.length,
    median: rounded(quantile(latencies, 0.5)),
    p99: rounded(quantile(latencies, 0.99)),
    perSecond: rounded(median(perSecond)),
    cpu: rounded(cpu / latencies.length),
    rounds: rounds.map((round) =>
      rounded(
        quantile(
          round.flatMap(({ latencies }) => [...latencies]),
          0.5,
        ),
      ),
    ),
  }
}
