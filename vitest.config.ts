import { defineConfig } from 'vitest/config'
import { LONG } from './test/support/length.ts'
import { NotInstalled, SKIPPING } from './test/support/not-installed.ts'
import { AS_USERS_INSTALL } from './vitest.examples.config.ts'

// Some hundred processes are started, and most of what each does is to compile the same modules.
process.env.NODE_COMPILE_CACHE ??= `${import.meta.dirname}/node_modules/.cache/node`

const test = { testTimeout: LONG ? 600_000 : 60_000, hookTimeout: 60_000 }

/** What must hold with MSAL's other majors too, and with the newest as it is published. */
const acrossMajors = [
  'test/msal/contract.test.ts',
  'test/msal/memory.test.ts',
  'test/msal/split.test.ts',
  'test/kinds/account.test.ts',
  'test/kinds/sign-in.test.ts',
  'test/contract/map.test.ts',
  'test/authorities.test.ts',
  'test/authorities/*.test.ts',
  'test/clients.test.ts',
  'test/clients/sign-in.test.ts',
  'test/clients/token-credential.test.ts',
]

/** What the library does not need to be right: the command, the demo, the benchmark, the tools, how src and docs are kept. */
const rest = [
  'test/{architecture,examples-doc,troubleshooting}.test.ts',
  'test/bench/**/*.test.ts',
  'test/cli/**/*.test.ts',
  'test/e2e/{demo,demo-install,demo-settings,demo-store,demo-story,page}.test.ts',
  'test/matrix/table.test.ts',
  'test/package/links.test.ts',
  'test/redis/process.test.ts',
  'test/support/{mutants,servers,tracked}.test.ts',
]

/** What starts servers, browsers or other processes: it would disturb a neighbour in the same process. */
const withServers = [
  'test/e2e/{front-channel,logout}.test.ts',
  'test/faults/!(table).test.ts',
  'test/heap.test.ts',
  'test/migrate/{many-accounts,paths}.test.ts',
  'test/processes.test.ts',
  'test/clients/one-time-tokens.test.ts',
  'test/records/{lifetime,rotation}.test.ts',
  'test/redis/!(process).test.ts',
  'test/secrets.test.ts',
  'test/store/{check,keyv-store,unparseable}.test.ts',
  'test/stores-doc.test.ts',
  'test/stress/stress.test.ts',
]

/** Many small files: a process for each costs more than its tests. */
const inOneProcess = { pool: 'threads', isolate: false } as const
const sealed = { ...test, setupFiles: ['test/support/sealed-msal.ts'] }

export default defineConfig({
  test: {
    // Vitest leaves one core to itself, and would use one of two.
    maxWorkers: 2,
    reporters: [
      ...(process.env.GITHUB_ACTIONS === undefined ? [] : ['github-actions']),
      'default',
      new NotInstalled(),
    ],
    onConsoleLog: (log) => !log.startsWith(SKIPPING),
    coverage: { include: ['src/**'] },
    projects: [
      // Everything runs on an MSAL that keeps to its contract and to nothing else.
      {
        test: {
          ...sealed,
          ...inOneProcess,
          name: 'sealed',
          include: ['test/**/*.test.ts'],
          exclude: [...withServers, ...rest, ...AS_USERS_INSTALL],
        },
      },
      {
        test: {
          ...sealed,
          name: 'sealed-servers',
          include: withServers,
          // A busy machine can make a server late once.
          retry: 1,
          // These wait for servers and timeouts half of the time. Other numbers of workers take turns of their own.
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      { test: { ...sealed, name: 'rest', include: rest, retry: 1, sequence: { groupOrder: 2 } } },
      { test: { ...test, ...inOneProcess, name: 'msal-node-7', include: acrossMajors } },
      ...['msal-node-3', 'msal-node-5', 'msal-node-6'].map((name) => ({
        resolve: { alias: { '@azure/msal-node': name } },
        test: {
          ...test,
          ...inOneProcess,
          name,
          include: acrossMajors,
        },
      })),
    ],
  },
})
