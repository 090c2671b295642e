import { defineConfig } from 'vitest/config'

/** What packs the library, and installs it as users do: the package, the examples, README's line, the first guide. */
export const AS_USERS_INSTALL = [
  'test/examples/**/*.test.ts',
  'test/package/{getting-started,install-line,packed}.test.ts',
]

/** `npm run test:examples`: it takes minutes and the registry. */
export default defineConfig({
  test: {
    include: AS_USERS_INSTALL,
    globalSetup: 'test/examples/install.ts',
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 240_000,
  },
})
