import { rmSync } from 'node:fs'
import { transform } from 'esbuild'
import { defineConfig, type Options } from 'tsup'
import { entries } from './tools/api/doors.ts'

const common: Options = {
  target: 'node22',
  // What several doors need is there once: each would have classes of its own otherwise.
  splitting: true,
  esbuildOptions(options) {
    // `sideEffects: false` is meant for hosts: here it would drop the check of Node's version.
    options.ignoreAnnotations = true
  },
  // Keeps `node:crypto` as it is: without the prefix, bundlers take it for a package.
  removeNodeProtocol: false,
}

/**
 * esbuild splits modules of `import` only, and what tsup makes CommonJS of them with is broken by class fields, such as
 * those of jose: esbuild itself takes the last step, file by file.
 */
const toCommonJs: NonNullable<Options['plugins']>[number] = {
  name: 'to-common-js',
  async renderChunk(code) {
    // `import()` becomes `require`: Jest 29 has no other.
    return transform(code, {
      format: 'cjs',
      target: 'node22',
      banner: '"use strict";',
      minify: true,
      keepNames: true,
      // Node prints the line of an error that nobody catches.
      lineLimit: 120,
      supported: { 'dynamic-import': false },
    })
  },
}

/** MSAL Node has a build for `import` and one for `require`: each of ours uses the one that its host has. */
export default defineConfig(() => {
  // Not tsup's `clean`: the builds run at the same time.
  rmSync('dist', { recursive: true, force: true })
  return [
    { ...common, entry: { ...entries(), cli: 'src/cli/main.ts' }, format: 'esm' },
    {
      ...common,
      entry: entries(),
      format: 'esm',
      outExtension: () => ({ js: '.cjs' }),
      plugins: [toCommonJs],
      // With jose, which has no build for `require`: some hosts, such as Jest 29, cannot load a module from there.
      noExternal: [/^jose/],
    },
    { entry: entries(), format: ['esm', 'cjs'], dts: { only: true } },
  ]
})
