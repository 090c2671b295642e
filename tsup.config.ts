import { defineConfig, type Options } from 'tsup'
import { entries } from './tools/api/doors.ts'

const common: Options = {
  target: 'node22',
  dts: { entry: entries() },
  // What several doors need is there once: each would have classes of its own otherwise.
  splitting: true,
  esbuildOptions(options) {
    // `sideEffects: false` is meant for hosts: here it would drop the check of Node's version.
    options.ignoreAnnotations = true
  },
  // Keeps `node:crypto` as it is: without the prefix, bundlers take it for a package.
  removeNodeProtocol: false,
}

/** MSAL Node has a build for `import` and one for `require`: each of ours uses the one that its host has. */
export default defineConfig([
  { ...common, entry: { ...entries(), cli: 'src/cli/main.ts' }, format: 'esm', clean: true },
  // With jose, which has no build for `require`: some hosts, such as Jest 29, cannot load a module from there.
  { ...common, entry: entries(), format: 'cjs', noExternal: [/^jose/], minifyWhitespace: true },
])
