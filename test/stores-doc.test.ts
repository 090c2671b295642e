import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Keyv } from 'keyv'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { FaultyHost, watchForCrashes } from './faults/host.ts'
import { freePort } from './support/free-port.ts'
import { closeStore } from './support/open-store.ts'
import { ETCD, MARIADB, MEMCACHED, OtherServer } from './support/other-servers.ts'
import { PostgresServer } from './support/postgres-server.ts'
import { makeFolder, missingProgram, removeFolder } from './support/programs.ts'
import { RedisCluster } from './support/redis-cluster.ts'
import { RedisServer } from './support/redis-server.ts'
import { runSample, sampleUnder } from './support/run-sample.ts'
import { storedText } from './support/stored.ts'

const execute = promisify(execFile)
const PAGE = 'docs/stores.md'

const crashes = watchForCrashes()
const opened: object[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map(closeStore))
})
afterAll(() => crashes.check())

async function storeOf(
  heading: string,
  replaced: Readonly<Record<string, string>>,
  language: 'ts' | 'js' = 'ts',
): Promise<Keyv> {
  const { store } = await runSample<{ store: Keyv }>(sampleUnder(PAGE, heading, language), replaced, [
    'store',
  ])
  opened.push(store)
  return store
}

/** Signs in, reads, refreshes and evicts over a store. */
async function use(store: Keyv, expected: readonly string[] = []): Promise<void> {
  const host = new FaultyHost(store, 3_000)
  const session = await host.signIn(host.entra.user())
  expect(await storedText(store, session.homeAccountId)).not.toBe('')
  expect((await host.silent(session)).fromCache).toBe(true)
  expect((await host.silent(session, { forceRefresh: true })).fromCache).toBe(false)
  await host.evict(session)
  expect(await host.isSignedIn(session)).toBe(false)
  const { supported, warnings } = await host.msal.plugin.checkStore()
  expect({ supported, warnings: warnings.map(({ code }) => code) }).toEqual({
    supported: true,
    warnings: expected,
  })
}

/** Runs the statement of the page, over a row that has expired, one that has not, a damaged and a foreign one. */
async function deleteExpired(
  heading: string,
  store: Keyv,
  run: (statement: string) => Promise<unknown>,
): Promise<void> {
  const page = readFileSync(new URL('../docs/stores.md', import.meta.url), 'utf8')
  const [, statement = ''] = page.split(`\`\`\`sql\n-- ${heading}\n`)[1]?.match(/^([^;]*);/) ?? []
  const now = Date.now()
  const rows = {
    mk1_expired: JSON.stringify({ value: 'v', expires: now - 2_000 }),
    mk1_alive: JSON.stringify({ value: 'v "expires":1}', expires: now + 60_000 }),
    mk1_damaged: '{"value":"v","exp',
    another: JSON.stringify({ value: 'v', expires: now - 2_000 }),
  }
  for (const [key, row] of Object.entries(rows)) await store.store.set(key, row)
  await run(statement)
  const left = Object.keys(rows).map(async (key) => (await store.store.get(key)) === undefined)
  expect(await Promise.all(left)).toEqual([true, false, false, false])
}

test('SQLite', async () => {
  const folder = await makeFolder()
  const store = await storeOf('## SQLite', { '/var/lib/app/tokens.sqlite': join(folder, 'tokens.sqlite') })
  await use(store)
  await deleteExpired('SQLite', store, (statement) => store.store.query(statement))
  await Promise.all(opened.splice(0).map(closeStore))
  await removeFolder(folder)
})

describe.skipIf(missingProgram('redis-server'))('Redis', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterAll(() => server.stop())

  test('alone', async () => {
    await use(await storeOf('## Redis', { 'redis://127.0.0.1:6379': server.url }))
  })

  test('with the permissions that the page names', async () => {
    const page = readFileSync(new URL('../docs/stores.md', import.meta.url), 'utf8')
    const [, commands = '', keys = ''] = /an ACL for `([^`]+)` on `([^`]+)`/.exec(page) ?? []
    const allowed = commands.split(' ').map((name) => `+${name}`)
    await server.command('ACL', 'SETUSER', 'app', 'on', '>secret', `~${keys}`, ...allowed)
    const url = server.url.replace('redis://', 'redis://app:secret@')
    await use(await storeOf('## Redis', { 'redis://127.0.0.1:6379': url }))
  })

  test('by @keyv/valkey', async () => {
    await use(await storeOf('## Valkey', { '127.0.0.1:6379': `127.0.0.1:${server.port}` }, 'js'))
  })

  test('TLS', async () => {
    const folder = await makeFolder()
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
    const request =
      'req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1'
    await execute('openssl', [...request.split(' '), '-keyout', key, '-out', certificate])
    const port = await freePort()
    const secured = await RedisServer.start({
      settings: {
        'tls-port': `${port}`,
        'tls-key-file': key,
        'tls-cert-file': certificate,
        'tls-auth-clients': 'no',
      },
    })
    try {
      await use(
        await storeOf('## TLS', {
          '127.0.0.1:6380': `127.0.0.1:${port}`,
          '/etc/ssl/redis-ca.pem': certificate,
        }),
      )
      await Promise.all(opened.splice(0).map(closeStore))
    } finally {
      await secured.stop()
      await removeFolder(folder)
    }
  })

  describe('first-level cache', () => {
    const open = () => storeOf('## First-level cache', { 'redis://127.0.0.1:6379': server.url })

    test('works', async () => use(await open()))

    test('a hit asks the server nothing', async () => {
      const host = new FaultyHost(await open(), 3_000)
      const session = await host.signIn(host.entra.user())
      await host.silent(session)
      server.pause()
      try {
        expect((await host.silent(session)).fromCache).toBe(true)
      } finally {
        server.resume()
      }
    })

    test('an eviction on one process reaches another, which does nothing for it', async () => {
      const one = new FaultyHost(await open(), 3_000)
      const two = new FaultyHost(await open(), 3_000, one.entra)
      for (let round = 0; round < 20; round++) {
        const session = await one.signIn(one.entra.user())
        await two.silent(session)
        expect((await two.silent(session)).fromCache).toBe(true)
        await one.evict(session)
        await vi.waitUntil(async () => !(await two.isSignedIn(session)), { interval: 1, timeout: 5_000 })
        await expect(two.silent(session)).rejects.toMatchObject({ errorCode: 'no_tokens_found' })
      }
    })

    test('is dropped with the connection', async () => {
      const host = new FaultyHost(await open(), 3_000)
      const session = await host.signIn(host.entra.user())
      expect((await host.silent(session)).fromCache).toBe(true)
      await server.restart()
      await vi.waitUntil(
        () =>
          host.isSignedIn(session).then(
            (is) => !is,
            () => false,
          ),
        { timeout: 5_000 },
      )
    })
  })
})

describe.skipIf(missingProgram('redis-server'))('Redis Cluster', () => {
  let cluster: RedisCluster
  beforeAll(async () => {
    cluster = await RedisCluster.start()
  })
  afterAll(() => cluster.stop())

  test('works', async () => {
    const nodes = cluster.urls.map((url, index) => [`redis://node-${index + 1}:6379`, url])
    await use(await storeOf('## Redis Cluster', Object.fromEntries(nodes)))
  })
})

describe.skipIf(missingProgram('initdb', 'postgres'))('PostgreSQL', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server.stop())

  test('works', async () => {
    const replaced = { 'postgresql://app@127.0.0.1:5432/app': server.uri }
    const store = await storeOf('## PostgreSQL', replaced, 'js')
    await use(store)
    await deleteExpired('PostgreSQL', store, (statement) => store.store.query(statement))
  })
})

describe.skipIf(missingProgram('mariadbd'))('MySQL and MariaDB', () => {
  let server: OtherServer
  beforeAll(async () => {
    server = await OtherServer.start(MARIADB)
  })
  afterAll(() => server.stop())

  test('works', async () => {
    const replaced = { '127.0.0.1:3306': `127.0.0.1:${server.port}` }
    const store = await storeOf('## MySQL and MariaDB', replaced, 'js')
    await use(store)
    await deleteExpired('MySQL, MariaDB', store, (statement) => store.store.query(statement))
  })
})

describe.skipIf(missingProgram('etcd'))('etcd', () => {
  let server: OtherServer
  beforeAll(async () => {
    server = await OtherServer.start(ETCD)
  })
  afterAll(() => server.stop())

  test('works', async () => {
    const replaced = { '127.0.0.1:2379': `127.0.0.1:${server.port}` }
    await use(await storeOf('## etcd', replaced, 'js'), ['unproven-adapter'])
  })
})

describe.skipIf(missingProgram('memcached'))('memcached', () => {
  let server: OtherServer
  beforeAll(async () => {
    server = await OtherServer.start(MEMCACHED)
  })
  afterAll(() => server.stop())

  test('works', async () => {
    const replaced = { '127.0.0.1:11211': `127.0.0.1:${server.port}` }
    await use(await storeOf('## memcached', replaced, 'js'), ['unproven-adapter'])
  })
})
