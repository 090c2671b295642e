import { globSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const root = new URL('../../', import.meta.url).pathname
const [, appendix = ''] = readFileSync(`${root}docs/logout.md`, 'utf8').split(
  '\n## What providers and peers send\n',
)
const rows = [...appendix.matchAll(/^\| (?!case |---)(.+) \| ([^|]+) \|$/gm)]
const tests = globSync(`${root}test/logout/*.test.ts`, { exclude: ['**/peers.test.ts'] })
  .map((file) => readFileSync(file, 'utf8'))
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
