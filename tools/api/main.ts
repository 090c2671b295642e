// npm run api: writes etc/msal-keyv.api.md and docs/api from src.
// With --check it writes nothing and fails where they differ from what they should be.
import { cp, glob, mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { root } from '../pack.ts'
import { withoutExample } from './examples.ts'
import { writeReference } from './reference.ts'
import { writeReport } from './report.ts'

/** Whose use the example of their class shows, or that MSAL calls and no host does. */
const KNOWN_WITHOUT_EXAMPLE = new Set<string>([])

const check = process.argv.includes('--check')
const folder = join(root, '.cache/api')
await rm(folder, { recursive: true, force: true })
await mkdir(folder, { recursive: true })

await writeReport(join(folder, 'report'))
const reference = await writeReference(folder)
const problems = examplesMissing()
if (check) {
  problems.push(...(await drift(join(folder, 'report'), join(root, 'etc'), '*.api.md')))
  problems.push(...(await drift(reference, join(root, 'docs/api'), '**/*.md')))
} else {
  await rm(join(root, 'docs/api'), { recursive: true, force: true })
  await cp(reference, join(root, 'docs/api'), { recursive: true })
  await cp(join(folder, 'report/msal-keyv.api.md'), join(root, 'etc/msal-keyv.api.md'))
}
for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exitCode = 1

function examplesMissing(): string[] {
  const missing = withoutExample()
  return [
    ...missing
      .filter((name) => !KNOWN_WITHOUT_EXAMPLE.has(name))
      .map((name) => `${name} has no @example in its doc comment`),
    ...[...KNOWN_WITHOUT_EXAMPLE]
      .filter((name) => !missing.includes(name))
      .map((name) => `${name} has an @example, or is gone: take it from the list in tools/api/main.ts`),
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
    if (is !== should)
      found.push(`${join(committed, name)} is not what src says: run \`npm run api\` and review it`)
  }
  return found
}
