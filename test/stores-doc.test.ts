import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pass } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Keyv } from 'keyv'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { FaultyHost, watchForCrashes } from './faults/host.ts'
import { freePort } from './support/free-port.ts'
import { closeStore } from './support/open-store.ts'
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
async function use(store: Keyv): Promise<void> {
  const host = new FaultyHost(store, 3_000)
  const session = await host.signIn(host.entra.user())
  expect(await storedText(store, session.homeAccountId)).not.toBe('')
  expect((await host.silent(session)).fromCache).toBe(true)
  expect((await host.silent(session, { forceRefresh: true })).fromCache).toBe(false)
  await host.evict(session)
  expect(await host.isSignedIn(session)).toBe(false)
  const { warnings } = await host.msal.plugin.checkStore()
  expect(warnings.map(({ code }) => code).filter((code) => code !== 'no-ttl')).toEqual([])
}

test('SQLite', async () => {
  const folder = await makeFolder()
  await use(await storeOf('## SQLite', { '/var/lib/app/tokens.sqlite': join(folder, 'tokens.sqlite') }))
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

    test('an eviction on one process reaches another within 50 ms', async () => {
      const one = new FaultyHost(await open(), 3_000)
      const two = new FaultyHost(await open(), 3_000, one.entra)
      const delays: number[] = []
      for (let round = 0; round < 20; round++) {
        const session = await one.signIn(one.entra.user())
        await two.silent(session)
        expect((await two.silent(session)).fromCache).toBe(true)
        await one.evict(session)
        const start = performance.now()
        while (await two.isSignedIn(session)) await pass(1)
        delays.push(performance.now() - start)
        await expect(two.silent(session)).rejects.toMatchObject({ errorCode: 'no_tokens_found' })
      }
      expect(Math.max(...delays)).toBeLessThan(50)
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
    await use(await storeOf('## PostgreSQL', { 'postgresql://app@127.0.0.1:5432/app': server.uri }, 'js'))
  })
})
