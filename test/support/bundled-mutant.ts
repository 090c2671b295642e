import { join } from 'node:path'
import { build } from 'esbuild'
import { changedFile, fileDeclaring } from './changed-file.ts'
import type { MutantName } from './mutants.ts'

const LIBRARY = join(import.meta.dirname, 'all-doors.ts')

/**
 * Writes the library, or the module of it that declares `declared`, broken on purpose, to `outfile`. All in one file:
 * importing every file of `src` again for each mutant takes many times as long.
 */
export async function bundleMutant(name: MutantName, outfile: string, declared?: string): Promise<void> {
  const { path, text } = changedFile(name)
  await build({
    entryPoints: [declared === undefined ? LIBRARY : fileDeclaring(declared)],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    packages: 'external',
    // As in tsup.config.ts: it would drop the check of Node's version.
    ignoreAnnotations: true,
    plugins: [
      {
        name: 'mutant',
        setup({ onLoad }) {
          onLoad({ filter: /\.ts$/ }, (source) =>
            source.path === path ? { contents: text, loader: 'ts' } : undefined,
          )
        },
      },
    ],
  })
}
