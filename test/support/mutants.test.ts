import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { transform } from 'esbuild'
import { expect, test } from 'vitest'
import { root, trackedFiles } from '../../tools/tracked.ts'
import { changedFile } from './changed-file.ts'
import { MUTANTS, type MutantName } from './mutants.ts'

const names = Object.keys(MUTANTS) as MutantName[]
const tests = trackedFiles('test/**/*.test.ts').map((file) => readFileSync(join(root, file), 'utf8'))

test.each(names)('%s: what it changes is in src, once, and leaves a program', async (name) => {
  const { path, text } = changedFile(name)
  expect(text).not.toBe(readFileSync(path, 'utf8'))
  await transform(text, { loader: 'ts' })
})

test('each is what some test guards against', () => {
  const isNamed = (name: string) =>
    tests.some((text) => [`'${name}'`, `"${name}"`].some((it) => text.includes(it)))
  expect(names.filter((name) => !isNamed(name))).toEqual([])
})
