import { defineConfig } from 'tsup'

export default defineConfig({
  entry: ['src/index.ts'],
  // Node 22.12 and later can `require()` it too, and two copies in one process cannot disagree.
  format: 'esm',
  target: 'node22',
  dts: true,
  clean: true,
  // Keeps `node:crypto` as it is: without the prefix, bundlers take it for a package.
  removeNodeProtocol: false,
})
