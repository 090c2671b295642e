import { defineConfig } from 'vitest/config'
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

/** What starts servers, browsers and processes, and would disturb a neighbour in the same process. */
const withServers = [
  'test/{e2e,faults,migrate,package,stress}/**/*.test.ts',
  'test/processes.test.ts',
  'test/support/servers.test.ts',
]

/** Many small files: a process for each costs more than its tests. */
const inOneProcess = { pool: 'threads', isolate: false } as const
const sealed = { ...test, setupFiles: ['test/support/sealed-msal.ts'] }

export default defineConfig({
  test: {
    // Vitest leaves one core to itself, and would use one of two.
    maxWorkers: 2,
    coverage: { include: ['src/**'] },
    projects: [
      // Everything runs on an MSAL that keeps to its contract and to nothing else.
      {
        test: {
          ...sealed,
          ...inOneProcess,
          name: 'sealed',
          include: ['test/**/*.test.ts'],
          // The examples have a command of their own: `npm run test:examples`.
          exclude: [...withServers, 'test/examples/**'],
        },
      },
      // A busy machine can make a server late once.
      { test: { ...sealed, name: 'sealed-servers', include: withServers, retry: 1 } },
      { test: { ...test, ...inOneProcess, name: 'msal-node-7', include: acrossMajors } },
      ...['msal-node-3', 'msal-node-5', 'msal-node-6'].map((name) => ({
        resolve: { alias: { '@azure/msal-node': name } },
        test: {
          ...test,
          ...inOneProcess,
          name,
          include: acrossMajors,
          server: { deps: { inline: [/msal-/] } },
        },
      })),
    ],
  },
})
