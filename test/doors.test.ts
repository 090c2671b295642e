import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { describe, expect, test } from 'vitest'
import * as root from '../src/index.ts'
import { doors, reportName } from '../tools/api/doors.ts'
import { root as project } from '../tools/tracked.ts'
import { changedFile } from './support/changed-file.ts'
import type { MutantName } from './support/mutants.ts'

const manifest = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as {
  exports: Record<string, unknown>
}

test('each door is in package.json, and has a report', () => {
  const names = Object.keys(manifest.exports).filter((name) => name !== './package.json')
  expect(names.map((name) => `msal-keyv${name.slice(1)}`).sort()).toEqual(Object.keys(doors).sort())
  for (const door of Object.keys(doors)) {
    expect(readFileSync(join(project, 'etc', reportName(door)), 'utf8')).toContain('export ')
  }
})

describe('the root', () => {
  test('has 20 names at run time at most, and 45 with its types', () => {
    expect(Object.keys(root).length).toBeLessThanOrEqual(20)
    const report = readFileSync(join(project, 'etc', reportName('msal-keyv')), 'utf8')
    expect(report.match(/^export /gm)?.length).toBeLessThanOrEqual(45)
  })

  test('has no name of the Azure SDK for a type that is another', () => {
    const report = readFileSync(join(project, 'etc', reportName('msal-keyv')), 'utf8')
    expect(report).not.toMatch(/^export \w+ (AccessToken|GetTokenOptions|AbortSignalLike)\b/m)
  })

  test('loads no other door, and jose with the first logout token only', async () => {
    expect(await loadedWith('src/index.ts')).toEqual(['@azure/msal-node'])
  })

  test('a root that loads more is found', async () => {
    expect(await loadedWith('src/index.ts', 'jose is loaded at once')).toContain('jose/jwt/verify')
  })
})

/** The folders of doors, and the packages, that a module loads before anybody calls it. */
async function loadedWith(entry: string, mutant?: MutantName): Promise<string[]> {
  const changed = mutant === undefined ? undefined : changedFile(mutant)
  const { metafile } = await build({
    entryPoints: [join(project, entry)],
    bundle: true,
    write: false,
    metafile: true,
    logLevel: 'error',
    format: 'esm',
    platform: 'node',
    packages: 'external',
    plugins: [
      {
        name: 'changed',
        setup: ({ onLoad }) =>
          onLoad({ filter: /\.ts$/ }, ({ path }) =>
            path === changed?.path ? { contents: changed.text, loader: 'ts' } : undefined,
          ),
      },
    ],
  })
  const loaded = Object.entries(metafile.inputs).flatMap(([path, { imports }]) => [
    ...imports
      .filter(
        ({ external, kind, path: to }) => external && kind !== 'dynamic-import' && !to.startsWith('node:'),
      )
      .map(({ path: to }) => to),
    ...path.split('/').filter((folder) => ['graph', 'redis', 'migrate'].includes(folder)),
  ])
  return [...new Set(loaded)].sort()
}
