/** What `docs/performance.md` and its plots are, given the results. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fillPage } from './report/page.ts'
import { plotsOf } from './report/plots.ts'
import { blocksOf } from './report/tables.ts'
import type { Results } from './results.ts'

const ROOT = new URL('../', import.meta.url)
const PAGE = 'docs/performance.md'
const PLOTS = 'docs/plots/'
const PUBLISHED = 'bench/results/published.json'

/** Every generated file as it should be, by its path in the project. */
export function publishedFiles(results: Results): Record<string, string> {
  const plots = Object.entries(plotsOf(results)).map(([name, svg]) => [`${PLOTS}${name}`, svg])
  return { [PAGE]: fillPage(readText(PAGE), blocksOf(results)), ...Object.fromEntries(plots) }
}

/** The results that the documents were drawn from. */
export function publishedResults(): Results {
  return JSON.parse(readText(PUBLISHED)) as Results
}

export function publish(results: Results): void {
  mkdirSync(new URL(PLOTS, ROOT), { recursive: true })
  writeResults(PUBLISHED, results)
  for (const [path, content] of Object.entries(publishedFiles(results))) {
    writeFileSync(new URL(path, ROOT), content)
  }
}

/** One measurement a line, so that a difference can be read. */
export function writeResults(path: string, { environment, measurements, heap }: Results): void {
  const lines = (values: readonly object[]) => values.map((it) => `\n    ${JSON.stringify(it)}`).join(',')
  const text = [
    `{\n  "environment": ${JSON.stringify(environment)},`,
    `  "measurements": [${lines(measurements)}\n  ],`,
    `  "heap": [${lines(heap)}\n  ]\n}\n`,
  ].join('\n')
  writeFileSync(new URL(path, ROOT), text)
}

export function readText(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8')
}
