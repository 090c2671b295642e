import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'
import { root, trackedFiles } from '../tools/tracked.ts'

/** The floors of the house, from the top. A file imports from its own and from those below. */
const FLOORS: readonly (readonly [name: string, files: RegExp])[] = [
  ['the command', /^cli\//],
  ['the public surface', /^index\.ts$/],
  ['doors of their own', /^(graph|migrate|redis)\//],
  ['what a host holds', /^(plugin|clients|logout)\.ts$/],
  ['ConfidentialClients', /^clients\//],
  ['kinds of client', /^kinds\//],
  ["MSAL's data", /^msal\//],
  ['callbacks', /^logout\//],
  ['options', /^options\.ts$/],
  ['accounts', /^accounts\//],
  ['records', /^records\//],
  ['the store', /^store\//],
  ['the base', /^[\w-]+\.ts$/],
]

const src = join(root, 'src')
const files = trackedFiles('src/**/*.ts').map((file) => relative('src', file))
const sources = new Map(files.map((file) => [file, readFileSync(join(src, file), 'utf8')]))

type Sources = ReadonlyMap<string, string>

/** Every import of another file of src, types included. */
function importsOf(file: string, text: string): string[] {
  const specifiers = [...text.matchAll(/(?:\bfrom|\bimport|\bimport\()\s*'(\.[^']+)'/g)]
  return specifiers.map(([, specifier = '']) => relative('/', join('/', dirname(file), specifier)))
}

function floorOf(file: string): number {
  const floor = FLOORS.findIndex(([, pattern]) => pattern.test(file))
  if (floor < 0) throw new Error(`${file} is on no floor`)
  return floor
}

function importsUpwards(of: Sources): string[] {
  return [...of].flatMap(([file, text]) =>
    importsOf(file, text)
      .filter((imported) => floorOf(imported) < floorOf(file))
      .map((imported) => `${file} → ${imported}`),
  )
}

/** A way that leads from a file back to itself, for every file that is on one. */
function cycles(of: Sources): string[] {
  const graph = new Map([...of].map(([file, text]) => [file, importsOf(file, text)]))
  const found: string[] = []
  for (const start of graph.keys()) {
    const seen = new Set<string>()
    const ways = [[start]]
    for (let way = ways.shift(); way !== undefined; way = ways.shift()) {
      const at = way.at(-1) ?? start
      for (const next of graph.get(at) ?? []) {
        if (next === start) found.push([...way, start].join(' → '))
        if (seen.has(next)) continue
        seen.add(next)
        ways.push([...way, next])
      }
    }
  }
  return found
}

describe('src is a house', () => {
  test('of files that each stand on a floor', () => {
    expect(files.length).toBeGreaterThan(40)
    for (const file of files) expect(() => floorOf(file)).not.toThrow()
  })

  test('in which nothing is imported from above', () => {
    expect(importsUpwards(sources)).toEqual([])
  })

  test('in which no file needs itself', () => {
    expect(cycles(sources)).toEqual([])
  })
})

test("CONTRIBUTING's map leads to files that are there", () => {
  const map = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8')
  const named = [...map.matchAll(/`((?:src|test|tools|docs|bench|examples)\/[\w./-]+)`/g)].map(
    ([, path = '']) => path,
  )
  expect(named.length).toBeGreaterThan(40)
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([])
})

describe('these tests can fail', () => {
  test.each([
    ['an import from above', "import { KeyvCachePlugin } from '../plugin.ts'"],
    ['of a type', "import type { KeyvCachePlugin } from '../plugin.ts'"],
    ['over several lines', "import {\n  KeyvCachePlugin,\n} from '../plugin.ts'"],
    ['for its effect', "import '../plugin.ts'"],
    ['that is an export', "export * from '../plugin.ts'"],
    ['on demand', "const { KeyvCachePlugin } = await import('../plugin.ts')"],
  ])('%s is found', (_, text) => {
    expect(importsUpwards(new Map([['records/new.ts', text]]))).toEqual(['records/new.ts → plugin.ts'])
  })

  test('a cycle is found, and the way around it', () => {
    const changed = new Map([
      ['store/a.ts', "import './b.ts'"],
      ['store/b.ts', "import './a.ts'"],
    ])
    expect(cycles(changed)).toEqual([
      'store/a.ts → store/b.ts → store/a.ts',
      'store/b.ts → store/a.ts → store/b.ts',
    ])
  })

  test('a file that stands nowhere is found', () => {
    expect(() => floorOf('partitions/new.ts')).toThrow('partitions/new.ts')
  })
})
