import { defineConfig } from 'vitest/config'

const test = { testTimeout: 30_000, hookTimeout: 60_000 }

/** What has to hold with MSAL's other majors too. */
const acrossMajors = [
  'test/contract/map.test.ts',
  'test/msal/races.test.ts',
  'test/clients.test.ts',
  'test/clients/sign-in.test.ts',
  'test/clients/token-credential.test.ts',
]

export default defineConfig({
  test: {
    coverage: { include: ['src/**'] },
    projects: [
      { test: { ...test, name: 'msal-node-7', include: ['test/**/*.test.ts'] } },
      ...['msal-node-3', 'msal-node-5', 'msal-node-6'].map((name) => ({
        resolve: { alias: { '@azure/msal-node': name } },
        test: { ...test, name, include: acrossMajors, server: { deps: { inline: [/msal-/] } } },
      })),
    ],
  },
})
