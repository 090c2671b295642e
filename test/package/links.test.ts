import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from 'vitest'
import { root, trackedFiles } from '../../tools/tracked.ts'

const { repository } = JSON.parse(read('package.json')) as { repository: { url: string } }
const website = repository.url.replace(/^git\+(.*)\.git$/, '$1')

/** What is in the package, as npm lists it. */
const packed = new Set(
  (
    JSON.parse(
      execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
        cwd: root,
        encoding: 'utf8',
      }),
    ) as [{ files: { path: string }[] }]
  )[0].files.map(({ path }) => path),
)
const pages = trackedFiles('**/*.md').filter((path) => packed.has(path))

describe('links of the published pages', () => {
  test('README, the guides and the policy are published', () => {
    expect(pages).toEqual(
      expect.arrayContaining([
        'README.md',
        'CHANGELOG.md',
        'SECURITY.md',
        'docs/promises.md',
        'docs/security.md',
      ]),
    )
  })

  test.each(pages)('those of %s lead to published files, or to files of the repository', (page) => {
    expect(deadLinks(page, read(page))).toEqual([])
  })

  test.each([
    ['a file that is not published', 'test/support/mutant.ts'],
    ['a file that is not there', 'docs/gone.md'],
    ['a page of the repository that is not there', `${website}/blob/main/docs/gone.md`],
    ['another branch of the repository', `${website}/blob/next/README.md`],
  ])('%s is found', (_, target) => {
    expect(deadLinks('README.md', `[a](README.md) [b](${target}) [c](https://e.example)`)).toEqual([target])
  })
})

function deadLinks(page: string, markdown: string): string[] {
  const text = markdown.replace(/^[ \t]*(`{3,})[^\n]*\n.*?^[ \t]*\1[ \t]*$/gms, '').replace(/`[^`\n]*`/g, '')
  const targets = [...text.matchAll(/\]\(([^()\s]+)\)/g)].flatMap(([, target]) => target ?? [])
  return targets.filter((target) => !target.startsWith('#') && !leadsSomewhere(page, target))
}

function leadsSomewhere(page: string, target: string): boolean {
  const [path = ''] = decodeURI(target).split('#')
  const inRepository = /^\/(?:blob|tree)\/(.*)$/.exec(
    path.startsWith(website) ? path.slice(website.length) : '',
  )?.[1]
  if (inRepository !== undefined) {
    return inRepository.startsWith('main/') && existsSync(join(root, inRepository.slice('main/'.length)))
  }
  if (/^[a-z]+:/.test(path)) return true
  const linked = normalize(join(dirname(page), path))
  return packed.has(linked) || [...packed].some((file) => file.startsWith(`${linked}/`))
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}
