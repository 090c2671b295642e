// npm run api: writes etc/msal-keyv.api.md and docs/api from src, and says which examples are missing.
// With --check it writes nothing and fails where they are not what src says.
import { cp, glob, mkdir, readFile, rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { root } from '../tracked.ts'
import { doors, reportName } from './doors.ts'
import { withoutExample } from './examples.ts'
import { writeReference } from './reference.ts'
import { writeReport } from './report.ts'
import { knownWithoutExample } from './without-example.ts'

const reports = Object.keys(doors).map(reportName)
const folder = join(root, '.cache/api')
await rm(folder, { recursive: true, force: true })
await mkdir(folder, { recursive: true })

const report = join(folder, 'report')
await writeReport(report)
const { out: reference, warned } = await writeReference(folder)
const problems = warned ? ['typedoc has found something to mend in the doc comments; see above'] : []
problems.push(...examples())
if (process.argv.includes('--check')) {
  for (const name of reports) problems.push(...(await drift(report, join(root, 'etc'), name)))
  problems.push(...(await drift(reference, join(root, 'docs/api'), '**/*.md')))
} else {
  await rm(join(root, 'docs/api'), { recursive: true, force: true })
  await cp(reference, join(root, 'docs/api'), { recursive: true })
  for (const name of reports) await cp(join(report, name), join(root, 'etc', name))
}
for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exitCode = 1

function examples(): string[] {
  const missing = withoutExample()
  return [
    ...missing
      .filter((name) => !knownWithoutExample.has(name))
      .map((name) => `${name} has no @example in its doc comment`),
    ...[...knownWithoutExample]
      .filter((name) => !missing.includes(name))
      .map((name) => `${name} has an @example, or is gone: take it from tools/api/without-example.ts`),
  ]
}

/** Files that are not what was generated. */
async function drift(generated: string, committed: string, pattern: string): Promise<string[]> {
  const names = new Set<string>()
  for (const folder of [generated, committed]) {
    for await (const name of glob(pattern, { cwd: folder })) names.add(name)
  }
  const read = (path: string) => readFile(path, 'utf8').catch(() => undefined)
  const found: string[] = []
  for (const name of names) {
    const [is, should] = await Promise.all([read(join(committed, name)), read(join(generated, name))])
    const path = relative(root, join(committed, name))
    if (is !== should)
      found.push(`${path} is not what src says: run \`npm run api\`, and review what changed`)
  }
  return found
}
