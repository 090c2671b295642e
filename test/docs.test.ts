import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { root, trackedFiles } from '../tools/tracked.ts'
import { problemsIn, withImports } from './support/checked-samples.ts'
import { samplesIn } from './support/samples.ts'

const documents = trackedFiles('**/*.md')

describe('samples', () => {
  test('in README.md and docs, they are type-checked against the public types', () => {
    const isShown = (path: string) => path === 'README.md' || /^docs\/(?!api\/)/.test(path)
    const shown = documents.filter(isShown)
    const samples = shown.flatMap((path) => samplesIn(path, read(path), 'ts'))
    expect(samples.map(({ path }) => path)).toContain('README.md')
    expect(problemsIn(samples)).toEqual([])
  })

  test('in the reference, they are too, with the imports that doc comments leave out', () => {
    const reference = documents.filter((path) => path.startsWith('docs/api/'))
    // After its heading: the reference shows signatures as code too.
    const examples = reference.flatMap((path) =>
      samplesIn(path, read(path), 'ts').filter(({ line }) =>
        /^#+ Examples?$/.test(read(path).split('\n')[line - 4] ?? ''),
      ),
    )
    expect(examples.length).toBeGreaterThan(30)
    expect(problemsIn(examples.map(withImports))).toEqual([])
  })

  const mistakes: [what: string, line: string, problem: RegExp][] = [
    ['a method that is not there', 'await plugin.evict(homeAccountId)', /TS2339.*'evict'/],
    ['a wrong argument', 'await plugin.isSignedIn(session.homeAccountId)', /TS2345/],
    ['a wrong option', "new KeyvCachePlugin({ store, clientId, ttl: '1d' })", /TS2322/],
    ['an unknown option', 'new KeyvCachePlugin({ store, clientId, cache: 1 })', /TS2353.*'cache'/],
    ['an internal import', "import { PartitionRepository } from 'msal-keyv'", /TS2305/],
    ['a name that nobody declared', 'await plugin.evictAccount(acount)', /TS2552.*'acount'/],
    ['a misused host', "app.get('/', (req, res) => res.send(req.session.account))", /TS2345/],
    ['an index that may be undefined', 'scopes[0].length', /TS2532/],
    ['a syntax error', 'const scope =', /TS1109/],
  ]

  test('a mistake is found, with file and line', () => {
    const pages = mistakes.map(([, line], index) => {
      const lines = ['# Page', '', '```ts', "import { KeyvCachePlugin } from 'msal-keyv'", line, '```', '']
      return samplesIn(`docs/broken-${index}.md`, lines.join('\n'), 'ts')
    })
    const problems = problemsIn(pages.flat())
    expect(problems).toHaveLength(mistakes.length)
    for (const [index, [what, , problem]] of mistakes.entries()) {
      expect(problems[index], what).toMatch(problem)
      expect(problems[index], what).toMatch(new RegExp(`^docs/broken-${index}\\.md:5: `))
    }
  })

  test('each is a module of its own, in a list too', () => {
    const text = [
      '```ts',
      'const name: string = homeAccountId',
      '```',
      '- in a list',
      '  ```ts',
      '  const name = 1',
      '  export const twice = 2 * name',
      '  ```',
      '```js',
      'this is not even JavaScript',
      '```',
    ]
    const samples = samplesIn('docs/page.md', text.join('\n'), 'ts')
    expect(samples.map(({ line }) => line)).toEqual([2, 6])
    expect(problemsIn(samples)).toEqual([])
  })
})

describe('links', () => {
  test.each(documents)('those of %s lead somewhere', (path) => {
    expect(deadLinksIn(path, read(path))).toEqual([])
  })

  test('a dead one is found', () => {
    const text =
      '# A page\n[a](README.md) [b](no.md#x) [c](#a-page) [d](#gone) `[e](code.md)` [f](https://e.x)'
    expect(deadLinksIn('page.md', text)).toEqual(['no.md#x', '#gone'])
  })
})

test.each(documents.filter((path) => path.startsWith('docs')))(
  'the files that %s names are there',
  (path) => {
    const named = read(path).match(/\b(?:test|src|examples|bench)\/[\w./-]*\w/g) ?? []
    expect(named.filter((file) => !existsSync(join(root, file)))).toEqual([])
  },
)

describe('commands', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }

  test.each(['npm run demo', 'npm install && npm test'])('README.md names %s', (command) => {
    const named = samplesIn('README.md', read('README.md'), 'sh').map(({ code }) => code.trim())
    expect(named).toContain(command)
  })

  test.each(documents)('the scripts that %s names exist', (path) => {
    const named = [...read(path).matchAll(/\bnpm (?:run ([\w:-]+)|(test)\b)/g)].map(
      ([, run, it]) => run ?? it,
    )
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(named))
  })
})

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

/** The links to files, and to headings of Markdown files, that lead nowhere. */
function deadLinksIn(path: string, markdown: string): string[] {
  const text = markdown.replace(/^[ \t]*(`{3,})[^\n]*\n.*?^[ \t]*\1[ \t]*$/gms, '').replace(/`[^`\n]*`/g, '')
  const targets = [...text.matchAll(/\]\(([^()\s]+)\)/g)].flatMap(([, target]) => target ?? [])
  return targets.filter((target) => {
    if (/^[a-z]+:/.test(target)) return false
    const [file = '', anchor] = target.split('#')
    const linked = file === '' ? path : join(dirname(path), decodeURI(file))
    if (file !== '' && !existsSync(join(root, linked))) return true
    if (anchor === undefined || !linked.endsWith('.md')) return false
    return !anchorsIn(file === '' ? markdown : read(linked)).has(anchor)
  })
}

/** The anchors that GitHub gives to headings. */
function anchorsIn(markdown: string): Set<string> {
  const headings = [...markdown.matchAll(/^#{1,6} +(.+?) *$/gm)].map(([, heading = '']) => heading)
  const withoutPunctuation = headings.map((it) => it.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, ''))
  return new Set(withoutPunctuation.map((heading) => heading.replaceAll(' ', '-')))
}
