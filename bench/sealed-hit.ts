/**
 * What `encryptionKeys` adds to a whole `acquireTokenSilent` that is answered from the store, on a partition of 6 kB.
 * `npx node bench/sealed-hit.ts`
 */
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { version as msalVersion } from '@azure/msal-node'
import { Keyv } from 'keyv'
import { generateEncryptionKey, KeyvCachePlugin } from '../src/index.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn } from '../test/support/entra.ts'
import { closeStore, openStore } from '../test/support/open-store.ts'
import { missingProgram } from '../test/support/programs.ts'
import { RedisServer } from '../test/support/redis-server.ts'
import { storedText } from '../test/support/stored.ts'

const ROUNDS = 41
const WARM_UP_ROUNDS = 5
const CALLS = 400
const BUDGET = 40

const entra = new EntraStandIn()

interface Contender {
  readonly bytes: number
  readonly hit: () => Promise<void>
}

/** One account's silent hit, with a client for each call. */
async function contender(store: Keyv, options: object): Promise<Contender> {
  const plugin = new KeyvCachePlugin({ store, clientId: CLIENT_ID, ...options })
  const user = entra.user()
  await entra.signIn(entra.client(plugin), user)
  const hit = async () => {
    const client = entra.client(plugin.forAccount(user))
    const { fromCache } = await acquireSilently(client, user.homeAccountId)
    if (!fromCache) throw new Error('no silent hit')
  }
  return { bytes: (await storedText(store, user.homeAccountId)).length, hit }
}

/** Microseconds per call. */
async function round({ hit }: Contender): Promise<number> {
  const start = performance.now()
  for (let call = 0; call < CALLS; call++) await hit()
  return ((performance.now() - start) * 1000) / CALLS
}

function quantile(times: readonly number[], at: number): number {
  return times.toSorted((a, b) => a - b)[Math.round(at * (times.length - 1))] ?? Number.NaN
}

function row(name: string, bytes: number | undefined, times: readonly number[]): string {
  const [median, low, high] = [0.5, 0.25, 0.75].map((at) => quantile(times, at).toFixed(1).padStart(8))
  return `| ${name.padEnd(18)} | ${`${bytes ?? ''}`.padStart(6)} | ${median} | ${low} | ${high} |`
}

/** @returns what sealing adds to a hit, in microseconds: the median of the rounds' differences */
async function measure(title: string, store: Keyv): Promise<number> {
  const plaintext = await contender(store, {})
  const sealed = await contender(store, { encryptionKeys: [generateEncryptionKey()] })
  const rounds: { plaintext: number; sealed: number }[] = []
  for (let n = -WARM_UP_ROUNDS; n < ROUNDS; n++) {
    // They take turns in going first, so that what disturbs one disturbs the other.
    const first = n % 2 === 0 ? await round(plaintext) : undefined
    const times = { sealed: await round(sealed), plaintext: first ?? (await round(plaintext)) }
    if (n >= 0) rounds.push(times)
  }
  const added = rounds.map((times) => times.sealed - times.plaintext)
  console.log(`\n${title}\n`)
  console.log('| µs per silent hit  |  bytes |   median | lower q. | upper q. |')
  console.log('| ------------------ | -----: | -------: | -------: | -------: |')
  console.log(
    row(
      'plaintext',
      plaintext.bytes,
      rounds.map((times) => times.plaintext),
    ),
  )
  console.log(
    row(
      'sealed',
      sealed.bytes,
      rounds.map((times) => times.sealed),
    ),
  )
  console.log(row('difference, paired', undefined, added))
  return quantile(added, 0.5)
}

function versionOf(name: string): string {
  const file = new URL(`../node_modules/${name}/package.json`, import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

console.log(
  `node ${process.version}, OpenSSL ${process.versions.openssl}, @azure/msal-node ${msalVersion}, ` +
    `keyv ${versionOf('keyv')}, @keyv/redis ${versionOf('@keyv/redis')}`,
)
console.log(`${cpus()[0]?.model.trim()}, ${cpus().length} cores`)
console.log(`${ROUNDS} rounds of ${CALLS} calls, in turns`)

const added = await measure('Keyv on a Map', new Keyv({ store: new Map() }))
if (!missingProgram('redis-server')) {
  const redis = await RedisServer.start()
  const store = await openStore({ kind: 'redis', url: redis.url })
  await measure('Keyv on Redis, over loopback', store)
  await closeStore(store)
  await redis.stop()
}
console.log(`\nsealing adds ${added.toFixed(1)} µs to a hit, of at most ${BUDGET}`)
if (!(added <= BUDGET)) process.exitCode = 1
