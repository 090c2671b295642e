import { defineConfig } from 'tsup'

export default defineConfig({
  entry: ['src/index.ts'],
  format: ['esm', 'cjs'],
  target: 'node22',
  dts: true,
  clean: true,
  sourcemap: true,
  // Keeps `node:crypto` as it is: without the prefix, bundlers take it for a package.
  removeNodeProtocol: false,
})
