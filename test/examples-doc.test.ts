import { readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { root, trackedFiles } from '../tools/tracked.ts'
import { samplesIn } from './support/samples.ts'

const read = (path: string) => readFileSync(join(root, path), 'utf8')
const examples = trackedFiles('examples/*/package.json').map((file) => basename(dirname(file)))

test('examples/README.md has a row for each example', () => {
  const rows = read('examples/README.md').matchAll(/^\| \[([\w-]+)\]/gm)
  expect([...rows].map(([, name]) => name).sort()).toEqual(examples.sort())
})

test.each(['settings.ts', 'store.ts', 'msal.ts', 'answers.ts'])('%s is one file, in many places', (file) => {
  // An API has other settings.
  const isOther = (path: string) => file === 'settings.ts' && path.startsWith('examples/web-api/')
  const copies = trackedFiles(...examples.map((name) => `examples/${name}/${file}`)).filter(
    (path) => !isOther(path),
  )
  expect(copies.length).toBeGreaterThan(3)
  for (const path of copies) expect(read(path), path).toBe(read(`examples/express/${file}`))
})

/** Blocks of the guides that stand in an example, so that the end-to-end test runs them. */
const quoted = [
  { guide: 'docs/logout.md', under: '## The callback', example: 'examples/express/app.ts' },
  { guide: 'docs/logout.md', under: '## Ending your own sessions', example: 'examples/express/app.ts' },
]

describe('the guides quote', () => {
  test.each(quoted)('$example in "$under" of $guide', ({ guide, under, example }) => {
    const [, section = ''] = read(guide).split(`\n${under}\n`)
    const [block] = samplesIn(guide, section, 'ts')
    const route = block?.code.split('\n\n').at(-1)?.trim() ?? 'no block'
    expect(route).toMatch(/^app\./)
    expect(read(example)).toContain(route)
  })
})

test('each example installs the published library', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string }
  for (const name of examples) {
    const manifest = JSON.parse(read(`examples/${name}/package.json`))
    expect(manifest, name).toMatchObject({ private: true, dependencies: { 'msal-keyv': `^${version}` } })
  }
  expect(trackedFiles('**/package-lock.json')).toEqual([])
})

// They are installed side by side in the test, where one could use what only another has asked for.
test.each(examples)('%s asks for every package that it imports', (name) => {
  const { dependencies, devDependencies } = JSON.parse(read(`examples/${name}/package.json`))
  const asked = Object.keys({ ...dependencies, ...devDependencies })
  const files = trackedFiles(`examples/${name}/**/*.{ts,tsx}`)
  const specifiers = files.flatMap((file) => [
    ...read(file).matchAll(/\b(?:from|import|import\() ?'([^'.][^']*)'/g),
  ])
  const packages = specifiers.map(([, specifier = '']) => /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? '')
  expect(packages).toContain('msal-keyv')
  const missing = packages.filter((wanted) => !wanted.startsWith('node:'))
  expect(missing.filter((wanted) => !asked.includes(wanted) && !asked.includes(`@types/${wanted}`))).toEqual(
    [],
  )
})
