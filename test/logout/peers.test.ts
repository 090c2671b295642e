import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root, trackedFiles } from '../../tools/tracked.ts'

const [, appendix = ''] = readFileSync(join(root, 'docs/logout.md'), 'utf8').split(
  '\n## What providers and peers send\n',
)
const rows = [...appendix.matchAll(/^\| (?!case |---)(.+) \| ([^|]+) \|$/gm)]
const tests = trackedFiles('test/logout/*.test.ts')
  .filter((file) => !file.endsWith('/peers.test.ts'))
  .map((file) => readFileSync(join(root, file), 'utf8'))
  .join()

test('the table of docs/logout.md has rows', () => {
  expect(rows.length).toBeGreaterThan(25)
})

test.each(rows.map(([, what = '', name = '']) => [what, name] as const))(
  'a test stands for: %s',
  (_, name) => {
    expect(["'", '"', '`'].some((quote) => tests.includes(`${quote}${name}`))).toBe(true)
  },
)
