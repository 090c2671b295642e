import { configDefaults, defineConfig } from 'vitest/config'
import { LONG } from './test/support/length.ts'

const test = { testTimeout: LONG ? 600_000 : 60_000, hookTimeout: 60_000 }

/** What must hold with MSAL's other majors too, and with the newest as it is published. */
const acrossMajors = [
  'test/msal/contract.test.ts',
  'test/msal/memory.test.ts',
  'test/msal/split.test.ts',
  'test/plugins/account.test.ts',
  'test/plugins/sign-in.test.ts',
  'test/contract/map.test.ts',
  'test/clients.test.ts',
  'test/clients/sign-in.test.ts',
  'test/clients/token-credential.test.ts',
]

export default defineConfig({
  test: {
    coverage: { include: ['src/**'] },
    projects: [
      // Everything runs on an MSAL that keeps to its contract and to nothing else.
      {
        test: {
          ...test,
          name: 'sealed',
          include: ['test/**/*.test.ts'],
          // Those have a command of their own: `npm run test:examples`.
          exclude: [...configDefaults.exclude, 'test/examples/**'],
          setupFiles: ['test/support/sealed-msal.ts'],
        },
      },
      { test: { ...test, name: 'msal-node-7', include: acrossMajors } },
      ...['msal-node-3', 'msal-node-5', 'msal-node-6'].map((name) => ({
        resolve: { alias: { '@azure/msal-node': name } },
        test: { ...test, name, include: acrossMajors, server: { deps: { inline: [/msal-/] } } },
      })),
    ],
  },
})
