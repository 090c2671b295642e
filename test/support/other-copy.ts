import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { build } from 'esbuild'
import type * as Library from './all-doors.ts'
import { changedFile } from './changed-file.ts'
import type { MutantName } from './mutants.ts'

const LIBRARY = join(import.meta.dirname, 'all-doors.ts')
const NODE_MODULES = join(import.meta.dirname, '../../node_modules')

/**
 * Another copy of the library in this process, as a bundler makes it: for `import`, or for `require`, which gets MSAL's
 * other build too.
 * @param mutant what is broken in it, or is of another version
 */
export async function otherCopy(
  format: 'esm' | 'cjs',
  { minify = false, mutant }: { minify?: boolean; mutant?: MutantName } = {},
): Promise<typeof Library> {
  const folder = mkdtempSync(join(NODE_MODULES, '.copy-'))
  const changed = mutant === undefined ? undefined : changedFile(mutant)
  try {
    const outfile = join(folder, format === 'esm' ? 'copy.ts' : 'copy.cjs')
    await build({
      entryPoints: [LIBRARY],
      outfile,
      bundle: true,
      format,
      minify,
      platform: 'node',
      target: 'node22',
      external: ['@azure/*', 'keyv'],
      ignoreAnnotations: true,
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
    const load =
      format === 'esm' ? import(/* @vite-ignore */ outfile) : createRequire(import.meta.url)(outfile)
    return (await load) as typeof Library
  } finally {
    rmSync(folder, { recursive: true })
  }
}
