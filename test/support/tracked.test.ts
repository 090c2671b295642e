import { execFileSync } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { allTrackedFiles } from '../../tools/tracked.ts'
import { makeFolder, removeFolder } from './programs.ts'

const PROJECT = ['.gitignore', 'README.md', 'docs/ünicode page.md', 'examples/demo/install/package.json']
const LEFT_BY_COMMANDS = [
  'dist/index.js',
  'examples/demo/install/node_modules/other/README.md',
  'examples/next/next-env.d.ts',
  'bench/results/latest.json',
  'tokens.sqlite-wal',
]
const RULES = 'node_modules/\ndist/\n*.sqlite*\nnext-env.d.ts\nbench/results/latest.json\n'

let folder: string
beforeEach(async () => {
  folder = join(await makeFolder(), 'dist')
  for (const file of [...PROJECT, ...LEFT_BY_COMMANDS]) {
    await mkdir(dirname(join(folder, file)), { recursive: true })
    await writeFile(join(folder, file), file === '.gitignore' ? RULES : '')
  }
})
afterEach(() => removeFolder(dirname(folder)))

function git(...args: string[]): void {
  execFileSync('git', args, { cwd: folder, stdio: 'pipe' })
}

test('what commands leave in a clone is not read, nor what is not added or was deleted', async () => {
  git('init', '--quiet')
  git('add', '.')
  await writeFile(join(folder, 'notes.md'), '')
  await rm(join(folder, 'README.md'))
  expect(allTrackedFiles(folder)).toEqual(PROJECT.filter((file) => file !== 'README.md'))
})

test('nor in an unpacked archive, whatever the folder is called', () => {
  expect(allTrackedFiles(folder)).toEqual(PROJECT)
})

test('nor where the folder above is a repository of something else', () => {
  execFileSync('git', ['init', '--quiet'], { cwd: dirname(folder) })
  expect(allTrackedFiles(folder)).toEqual(PROJECT)
})
