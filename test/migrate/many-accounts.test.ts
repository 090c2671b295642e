/** `LONG=1` imports 10,000 accounts, as docs/migrate.md says, and prints what they took. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Keyv } from 'keyv'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { KeyvCachePlugin, type KeyvLike } from '../../src/index.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn, type User } from '../support/entra.ts'
import { LIBRARY, type Library } from '../support/import-host.ts'
import { LONG, length } from '../support/length.ts'
import { mutant } from '../support/mutant.ts'
import { closeStore, openStore } from '../support/open-store.ts'
import { makeFolder, missingProgram, removeFolder } from '../support/programs.ts'
import { RedisServer } from '../support/redis-server.ts'
import { keysOf, storedPartition } from '../support/stored.ts'
import type { ImportFigures, ImportSettings } from './import-process.ts'
import { blobOf, ownersIn, pollutedRecords } from './many-accounts.ts'
import { connectTo } from './sessions.ts'

const ACCOUNTS = length({ short: 100, long: 10_000 })
const TIMEOUT = length({ short: 60_000, long: 1_800_000 })

const isMissing = missingProgram('redis-server')

describe.skipIf(isMissing)(`${ACCOUNTS} accounts`, () => {
  let redis: RedisServer
  let store: Keyv
  beforeAll(async () => {
    redis = await RedisServer.start({ settings: { appendfsync: 'no' } })
    store = await openStore({ kind: 'redis', url: redis.url })
  })
  afterAll(async () => {
    await closeStore(store)
    await redis.stop()
  })
  afterEach(async () => void (await redis.command('FLUSHALL')))

  test(
    'from one blob: each gets its own token silently, in bounded memory',
    async () => {
      const entra = new EntraStandIn()
      const users = people(entra)
      const blob = await blobOf(entra, users)
      const folder = await makeFolder()
      const file = join(folder, 'blob.json')
      await writeFile(file, blob)
      const size = Math.ceil(blob.length / 2 ** 20)
      // The text, what JSON.parse makes of it, and what the rest takes however many accounts there are.
      const figures = await importInProcess(96 + 3 * size, { redisUrl: redis.url, file, keys: [] })
      await removeFolder(folder)
      say(`a blob of ${size} MiB`, figures)

      expect(figures).toMatchObject({ imported: ACCOUNTS, reasons: {}, dropped: 0 })
      expect(figures.storeCalls).toBe(2 * ACCOUNTS + Math.ceil(ACCOUNTS / 16))
      await expectEachItsOwn(entra, users)
    },
    TIMEOUT,
  )

  test(
    "from polluted records of Microsoft's plugin: each gets its own token silently, and nothing of another",
    async () => {
      const entra = new EntraStandIn()
      const users = people(entra)
      const client = await connectTo(redis.url)
      onTestFinished(() => client.destroy())
      for (let index = 0; index < ACCOUNTS; index += 2) {
        const pair = users.slice(index, index + 2) as [User, User]
        for (const [key, record] of await pollutedRecords(entra, pair)) {
          expect(ownersIn(JSON.parse(record))).toEqual(
            new Set(pair.map(({ homeAccountId }) => homeAccountId)),
          )
          await client.set(key, record)
        }
      }
      const keys = users.map(({ homeAccountId }) => homeAccountId)
      expect(await client.exists(keys)).toBe(ACCOUNTS)
      const figures = await importInProcess(96, { redisUrl: redis.url, file: undefined, keys })
      say(`${ACCOUNTS} polluted records`, figures)

      // The first record of two brings both.
      expect(figures).toMatchObject({ imported: ACCOUNTS, reasons: { stored: ACCOUNTS }, dropped: 0 })
      await expectEachItsOwn(entra, users)
    },
    TIMEOUT,
  )

  /** Every account has one record, with entities of its own only, which answers without the provider. */
  async function expectEachItsOwn(entra: EntraStandIn, users: readonly User[]): Promise<void> {
    const plugin = new KeyvCachePlugin({ store, clientId: CLIENT_ID })
    let foreign = 0
    for (const user of users) {
      const { homeAccountId } = user
      const { fromCache, accessToken } = await acquireSilently(
        entra.client(plugin.forAccount(user)),
        homeAccountId,
      )
      expect(fromCache).toBe(true)
      expect(entra.ownerOf(accessToken)?.homeAccountId).toBe(homeAccountId)
      const owners = ownersIn(await storedPartition(store, homeAccountId))
      owners.delete(homeAccountId)
      foreign += owners.size
    }
    expect(foreign).toBe(0)
    const partitions = (await redis.command('KEYS', 'mk1_*_p')) as string[]
    expect(partitions).toHaveLength(users.length)
    expect(new Set(partitions)).toEqual(
      new Set(users.map(({ homeAccountId }) => keysOf(homeAccountId).partition)),
    )
  }
})

describe('at most 16 accounts are imported at once', () => {
  async function mostAtOnce({ KeyvCachePlugin, importCache }: Library): Promise<number> {
    const entra = new EntraStandIn({ size: 'small' })
    const users = Array.from({ length: 100 }, () => entra.user())
    const keyv = new Keyv()
    let [running, most] = [0, 0]
    const counting: KeyvLike = new Proxy(keyv, {
      get(target, property) {
        const value: unknown = Reflect.get(target, property, target)
        if (typeof value !== 'function') return value
        if (property !== 'getMany') return value.bind(target)
        return async (...parameters: unknown[]) => {
          most = Math.max(most, ++running)
          const values: unknown = await Reflect.apply(value, target, parameters)
          running--
          return values
        }
      },
    })
    const plugin = new KeyvCachePlugin({ store: counting, clientId: CLIENT_ID })
    await importCache(plugin, await blobOf(entra, users))
    return most
  }

  test('so the memory that an import takes does not grow with them', async () => {
    expect(await mostAtOnce(LIBRARY)).toBe(16)
  })

  test('broken on purpose, it does', async () => {
    const broken = await mutant<Library>('import: all accounts at once')
    expect(await mostAtOnce(broken)).toBe(100)
  })
})

function people(entra: EntraStandIn): User[] {
  return Array.from({ length: ACCOUNTS }, () => entra.user())
}

/** @param heap what the process may use for JavaScript objects, in MiB: with more it dies */
async function importInProcess(heap: number, settings: ImportSettings): Promise<ImportFigures> {
  const script = new URL('import-process.ts', import.meta.url)
  const child = fork(script, { stdio: 'inherit', execArgv: [`--max-old-space-size=${heap}`] })
  child.send(settings)
  const died = once(child, 'exit').then(() => Promise.reject(new Error('the importing process died')))
  const [figures] = (await Promise.race([once(child, 'message'), died])) as [ImportFigures]
  return figures
}

function say(what: string, { milliseconds, storeCalls, memory }: ImportFigures): void {
  if (!LONG) return
  const each = (total: number) => (total / ACCOUNTS).toFixed(2)
  console.log(
    `${ACCOUNTS} accounts from ${what}: ${milliseconds} ms (${each(milliseconds)} each), ${each(storeCalls)} store ` +
      `calls each, ${memory} MiB at most`,
  )
}
