import { join } from 'node:path'
import { build } from 'esbuild'
import { changedFile, type MutantName, SOURCES } from './mutants.ts'

/**
 * Writes the library, or the module `entry` of it, broken on purpose, to `outfile`. All in one file: importing every
 * file of `src` again for each mutant takes many times as long.
 */
export async function bundleMutant(name: MutantName, entry: string, outfile: string): Promise<void> {
  const { file, text } = changedFile(name)
  const path = join(SOURCES, file)
  await build({
    entryPoints: [join(SOURCES, entry)],
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
