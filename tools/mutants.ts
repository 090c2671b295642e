// Runs every test that names a broken build of test/support/mutants.ts, and lists which test has seen which. Such a test
// passes only if it goes red with the broken build; so all that are seen where every test passes are caught.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { MUTANTS } from '../test/support/mutants.ts'
import { root, trackedFiles } from './tracked.ts'

interface Seen {
  readonly name: string
  readonly testPath: string
  /** None where all tests of a file share it. */
  readonly currentTestName?: string
}

const names = Object.keys(MUTANTS)
const files = trackedFiles('test/**/*.test.ts').filter((file) => {
  const text = readFileSync(join(root, file), 'utf8')
  return names.some((name) => text.includes(`'${name}'`) || text.includes(`"${name}"`))
})

const folder = mkdtempSync(join(tmpdir(), 'msal-keyv-mutants-'))
const log = join(folder, 'seen')
const vitest = join(root, 'node_modules/vitest/vitest.mjs')
const { status } = spawnSync(process.execPath, [vitest, 'run', '--project', 'sealed*', ...files], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, SEEN_MUTANTS: log },
})
const lines = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []
rmSync(folder, { recursive: true })

const seen = lines.map((line): Seen => JSON.parse(line))
for (const name of names) {
  const tests = seen
    .filter((it) => it.name === name)
    .map(({ testPath, currentTestName = 'all' }) => `${relative(root, testPath)}: ${currentTestName}`)
  console.log(`${name}\n${[...new Set(tests)].map((test) => `    ${test}`).join('\n') || '    NOT SEEN'}`)
}
const unseen = names.filter((name) => !seen.some((it) => it.name === name))
console.log(`${names.length} broken builds, ${unseen.length} not seen by a test`)
// Some are for the long runs.
const isComplete = unseen.length === 0 || process.env.LONG !== '1'
process.exitCode = status === 0 && isComplete ? 0 : 1
