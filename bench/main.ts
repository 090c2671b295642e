/** `npm run bench`: see README.md beside this file. */
import { readArguments } from './arguments.ts'
import { OPERATIONS, STORES } from './contenders.ts'
import { describeEnvironment } from './environment.ts'
import { publish, writeResults } from './publish.ts'
import { boundsTable } from './report/bounds.ts'
import { groupTable, heapTable } from './report/tables.ts'
import type { Group, HeapMeasurement, Measurement, Results } from './results.ts'
import { runGroup, runHeap } from './run.ts'
import { groupsOf, heapEntrants } from './scenarios.ts'
import { isAvailable } from './servers.ts'

const LATEST = 'bench/results/latest.json'

const { profile, scenarios, library, writeDocs } = readArguments(process.argv.slice(2))
const began = performance.now()
const measurements: Measurement[] = []
const heap: HeapMeasurement[] = []
const skipped: string[] = []

for (const group of groupsOf(profile).filter(({ scenario }) => scenarios.includes(scenario))) {
  const name = headingOf(group)
  if (!group.entrants.every(({ store }) => isAvailable(store))) {
    skipped.push(name)
    continue
  }
  progress(name)
  const measured = await runGroup(group, profile, library)
  measurements.push(...measured)
  console.log(`\n${name}\n\n${groupTable(measured)}`)
}

if (scenarios.includes('heap')) {
  const entrants = heapEntrants(profile)
  const name = `heap: ${profile.heapAccounts.toLocaleString('en')} accounts served, Redis`
  if (entrants.every(({ store }) => isAvailable(store))) {
    progress(name)
    heap.push(...(await runHeap(entrants, library)))
    console.log(`\n${name}\n\n${heapTable(heap)}`)
  } else {
    skipped.push(name)
  }
}

const results: Results = { environment: describeEnvironment(profile), measurements, heap }
console.log(`\nwhat is to be reached\n\n${boundsTable(results)}`)
writeResults(LATEST, results)
progress(`done; the figures are in ${LATEST}`)
if (skipped.length > 0) console.error(`redis-server is not installed; skipped:\n${skipped.join('\n')}`)
if (writeDocs) {
  if (skipped.length > 0) throw new Error('the documents need a whole run: install redis-server')
  publish(results)
}

function headingOf({ scenario, operation, concurrency, processes, entrants }: Group): string {
  const [first] = entrants
  const store = first === undefined ? '' : STORES[first.store]
  const many = processes === 1 ? 'one process' : `${processes} processes`
  return `${scenario}: ${OPERATIONS[operation]}, ${store}, ${concurrency} at once, ${many}`
}

function progress(what: string): void {
  const seconds = Math.round((performance.now() - began) / 1_000)
  console.error(`${`${seconds}`.padStart(4)} s  ${what}`)
}
