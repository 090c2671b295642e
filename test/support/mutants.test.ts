import { globSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { changedFiles, changesOf, MUTANTS, type MutantName } from './mutants.ts'

const names = Object.keys(MUTANTS) as MutantName[]
const tests = globSync(new URL('../**/*.test.ts', import.meta.url).pathname).map((file) =>
  readFileSync(file, 'utf8'),
)

test.each(names)('%s: what it changes is in src, once', (name) => {
  expect(changedFiles(changesOf(name)).size).toBeGreaterThan(0)
})

test('each is what some test guards against', () => {
  const isNamed = (name: string) =>
    tests.some((text) => [`'${name}'`, `"${name}"`].some((it) => text.includes(it)))
  expect(names.filter((name) => !isNamed(name))).toEqual([])
})
