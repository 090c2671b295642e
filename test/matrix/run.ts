// Runs the contract over each store on its command line and prints what failed, as JSON in its last line.
// It is bundled, and runs in a project that has installed the packed library: on any runtime.
import { Keyv } from 'keyv'
import * as library from '../../src/index.ts'
import { scenarios } from './contract.ts'

/** A store of the matrix; `address` is a file or a URL. */
export interface MatrixStore {
  readonly kind: 'Map' | 'SQLite' | 'Redis'
  readonly address: string
}

export interface StoreResult {
  readonly store: MatrixStore['kind']
  /** How many scenarios held. */
  readonly passed: number
  /** Each with the scenario's name. */
  readonly failures: readonly string[]
}

interface Connection {
  readonly keyv: library.KeyvLike
  close(): Promise<unknown>
}

const records = new Map<string, unknown>()

/** Drivers are imported when they are needed: not every runtime can load each of them. */
async function connect({ kind, address }: MatrixStore): Promise<Connection> {
  const plain = { namespace: '', useKeyPrefix: false }
  if (kind === 'Map') return { keyv: new Keyv({ ...plain, store: records }), close: async () => {} }
  if (kind === 'Redis') {
    const { default: KeyvRedis } = await import('@keyv/redis')
    const adapter = new KeyvRedis(address, { throwOnErrors: true, connectionTimeout: 2_000 })
    return { keyv: new Keyv({ ...plain, store: adapter }), close: () => adapter.disconnect(true) }
  }
  const { default: KeyvSqlite } = await import('@keyv/sqlite')
  const adapter = new KeyvSqlite({ uri: `sqlite://${address}`, busyTimeout: 5_000 })
  return { keyv: new Keyv({ ...plain, store: adapter }), close: () => adapter.disconnect() }
}

async function run(store: MatrixStore): Promise<StoreResult> {
  const failures: string[] = []
  try {
    const [here, elsewhere] = [await connect(store), await connect(store)]
    for (const { name, run } of scenarios) {
      await run({ library, here: here.keyv, elsewhere: elsewhere.keyv }).catch((error: unknown) =>
        failures.push(`${name}: ${summary(error)}`),
      )
    }
    await Promise.all([here.close(), elsewhere.close()])
    return { store: store.kind, passed: scenarios.length - failures.length, failures }
  } catch (error) {
    return { store: store.kind, passed: 0, failures: [...failures, summary(error)] }
  }
}

function summary(error: unknown): string {
  const [line = ''] = String(error).split('\n')
  return line.slice(0, 200)
}

const results: StoreResult[] = []
for (const store of JSON.parse(process.argv[2] ?? '[]') as MatrixStore[]) results.push(await run(store))
console.log(JSON.stringify(results))
process.exit()
