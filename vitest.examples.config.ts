import { defineConfig } from 'vitest/config'

/** `npm run test:examples`: it installs the examples as their users do, so it takes minutes and the registry. */
export default defineConfig({
  test: {
    include: ['test/examples/**/*.test.ts'],
    globalSetup: 'test/examples/install.ts',
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 240_000,
  },
})
