import { defineConfig } from 'tsup'

export default defineConfig({
  entry: { index: 'src/index.ts', cli: 'src/cli/main.ts' },
  // Node 22.12 and later can `require()` it too, and two copies in one process cannot disagree.
  format: 'esm',
  target: 'node22',
  dts: { entry: 'src/index.ts' },
  clean: true,
  esbuildOptions(options) {
    // `sideEffects: false` is meant for hosts: here it would drop the check of Node's version.
    options.ignoreAnnotations = true
  },
  // Keeps `node:crypto` as it is: without the prefix, bundlers take it for a package.
  removeNodeProtocol: false,
})
