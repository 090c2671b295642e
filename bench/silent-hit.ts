/**
 * What `acquireTokenSilent` costs when the token is in the store, by how many accounts are stored: msal-keyv beside
 * MSAL Node's own DistributedCachePlugin, a plugin with one key for everybody, and MSAL alone.
 * `npx node bench/silent-hit.ts`
 */
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import {
  type ConfidentialClientApplication,
  DistributedCachePlugin,
  type ICachePlugin,
  version as msalVersion,
} from '@azure/msal-node'
import { Keyv } from 'keyv'
import { KeyvCachePlugin } from '../src/index.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn } from '../test/support/entra.ts'
import { closeStore, openStore } from '../test/support/open-store.ts'
import { missingProgram } from '../test/support/programs.ts'
import { RedisServer } from '../test/support/redis-server.ts'

const SIZES = [1, 1_000, 5_000]
const ROUNDS = 15
const WARM_UP_ROUNDS = 10
/** Milliseconds that a round of one contender takes, unless a single call takes longer. */
const ROUND = 25
const BLOB_KEY = 'everybody'

const entra = new EntraStandIn()

interface Contender {
  readonly name: string
  /** The client that serves a request of that account's. */
  clientFor(homeAccountId: string): ConfidentialClientApplication
}

/**
 * Those of a group take turns, so that what disturbs one disturbs the other. The expensive ones are alone: the garbage
 * they leave would be collected in the others' time.
 */
function* groups(keyv: Keyv, everybody: string): Generator<Contender[]> {
  const plugin = new KeyvCachePlugin({ store: keyv, clientId: CLIENT_ID })
  yield [
    { name: 'msal-keyv', clientFor: (id) => entra.client(plugin.forAccount(id)) },
    { name: 'DistributedCachePlugin', clientFor: (id) => entra.client(stockPlugin(keyv, id)) },
  ]
  const blob = entra.client(blobPlugin(keyv))
  yield [{ name: 'one key for everybody', clientFor: () => blob }]
  const memory = entra.client()
  memory.getTokenCache().deserialize(everybody)
  yield [{ name: 'MSAL alone, in memory', clientFor: () => memory }]
}

/** MSAL Node's own plugin with a partition per account, as in Microsoft's samples. */
function stockPlugin(keyv: Keyv, homeAccountId: string): ICachePlugin {
  const client = {
    get: async (key: string) => (await keyv.get<string>(key)) ?? '',
    set: async (key: string, value: string) => {
      await keyv.set(key, value)
      return value
    },
  }
  const partitions = {
    getKey: async () => homeAccountId,
    extractKey: async (account: { homeAccountId: string }) => account.homeAccountId,
  }
  return new DistributedCachePlugin(client, partitions)
}

/** The plugin of most tutorials: the whole cache under one key. */
function blobPlugin(keyv: Keyv): ICachePlugin {
  return {
    async beforeCacheAccess({ tokenCache }) {
      tokenCache.deserialize((await keyv.get<string>(BLOB_KEY)) ?? '')
    },
    async afterCacheAccess({ tokenCache, cacheHasChanged }) {
      if (cacheHasChanged) await keyv.set(BLOB_KEY, tokenCache.serialize())
    },
  }
}

interface Account {
  readonly homeAccountId: string
  /** MSAL's serialized cache after the sign-in. */
  readonly cache: string
}

async function signInMore(accounts: Account[], size: number, keyv: Keyv): Promise<void> {
  const plugin = new KeyvCachePlugin({ store: keyv, clientId: CLIENT_ID })
  while (accounts.length < size) {
    const user = entra.user()
    const { homeAccountId } = user
    const client = entra.client()
    await entra.signIn(client, user)
    const cache = client.getTokenCache().serialize()
    accounts.push({ homeAccountId, cache })
    await entra.signIn(entra.client(plugin), user)
    await keyv.set(homeAccountId, cache)
  }
}

/** One cache that holds them all, as MSAL would have serialized it after all their sign-ins. */
function together(accounts: readonly Account[]): string {
  const all: Record<string, object> = {}
  for (const { cache } of accounts) {
    for (const [section, entities] of Object.entries(JSON.parse(cache) as Record<string, object>)) {
      all[section] = Object.assign(all[section] ?? {}, entities)
    }
  }
  return JSON.stringify(all)
}

/** Microseconds per call, over as many calls as a round has time for. */
async function round({ clientFor }: Contender, accounts: readonly Account[]): Promise<number> {
  const start = performance.now()
  let calls = 0
  let elapsed = 0
  while (elapsed < ROUND) {
    const { homeAccountId } = accounts[(calls * 7) % accounts.length] ?? fail('no account')
    const { fromCache, accessToken } = await acquireSilently(clientFor(homeAccountId), homeAccountId)
    if (!fromCache || entra.ownerOf(accessToken)?.homeAccountId !== homeAccountId) fail('no silent hit')
    calls++
    elapsed = performance.now() - start
  }
  return (elapsed * 1_000) / calls
}

/** The median of each contender, in microseconds. */
async function measure(keyv: Keyv, accounts: readonly Account[]): Promise<Map<string, number>> {
  const everybody = together(accounts)
  await keyv.set(BLOB_KEY, everybody)
  const medians = new Map<string, number>()
  for (const group of groups(keyv, everybody)) {
    const times = group.map((contender) => ({ contender, rounds: [] as number[] }))
    for (let n = -WARM_UP_ROUNDS; n < ROUNDS; n++) {
      for (const { contender, rounds } of times) {
        const time = await round(contender, accounts)
        if (n >= 0) rounds.push(time)
      }
    }
    for (const { contender, rounds } of times) medians.set(contender.name, median(rounds))
  }
  return medians
}

async function table(title: string, keyv: Keyv): Promise<void> {
  const accounts: Account[] = []
  const columns: Map<string, number>[] = []
  for (const size of SIZES) {
    await signInMore(accounts, size, keyv)
    columns.push(await measure(keyv, accounts))
  }
  const names = [...(columns[0]?.keys() ?? [])]
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  console.log(`\n${title}\n`)
  console.log(line(['µs per silent hit'.padEnd(23), ...SIZES.map((size) => heading(size).padStart(14))]))
  console.log(line(['-'.repeat(23), ...SIZES.map(() => `${'-'.repeat(13)}:`)]))
  for (const name of names) {
    const cells = columns.map((column) => format(column.get(name)).padStart(14))
    console.log(line([name.padEnd(23), ...cells]))
  }
}

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[times.length >> 1] ?? Number.NaN
}

function heading(size: number): string {
  return size === 1 ? '1 account' : `${size.toLocaleString('en')} accounts`
}

function format(time = Number.NaN): string {
  return Math.round(time).toLocaleString('en')
}

function versionOf(name: string): string {
  const file = new URL(`../node_modules/${name}/package.json`, import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

function fail(what: string): never {
  throw new Error(what)
}

console.log(`node ${process.version}, @azure/msal-node ${msalVersion}, keyv ${versionOf('keyv')}`)
console.log(`${cpus()[0]?.model.trim()}, ${cpus().length} cores`)
console.log(`median of ${ROUNDS} rounds of at least ${ROUND} ms`)

await table('Keyv on a Map', new Keyv({ store: new Map() }))

if (!missingProgram('redis-server')) {
  const redis = await RedisServer.start()
  const keyv = await openStore({ kind: 'redis', url: redis.url })
  await table('Keyv on Redis, over loopback', keyv)
  await closeStore(keyv)
  await redis.stop()
}
