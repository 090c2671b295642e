import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { join } from 'node:path'
import { deflateSync, inflateSync } from 'node:zlib'
import Keyv from 'keyv'
import { Keyv as Keyv6 } from 'keyv6'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  ConfidentialClients,
  type HostSession,
  type KeyvLike,
  LogoutHandler,
  StoreUnavailableError,
} from '../../src/index.ts'
import { KeyvStore, UNPARSEABLE } from '../../src/store/keyv-store.ts'
import { AwkwardAdapter } from '../support/awkward-adapter.ts'
import { damage } from '../support/damage.ts'
import { EntraStandIn, SCOPES, type User } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'
import { closeStore, openAdapter } from '../support/open-store.ts'
import { makeFolder, missingProgram, removeFolder } from '../support/programs.ts'
import { RedisServer } from '../support/redis-server.ts'
import { keysOf } from '../support/stored.ts'

const MAJORS: [string, (adapter: object) => KeyvLike][] = [
  ['Keyv 5', (adapter) => new Keyv({ store: adapter, namespace: '', useKeyPrefix: false })],
  ['Keyv 5 as it comes', (adapter) => new Keyv({ store: adapter })],
  ['Keyv 6', (adapter) => new Keyv6({ store: adapter as never, namespace: '' })],
]

let server: RedisServer | undefined
let folder: string
const STORES: [string, () => Promise<object>][] = [
  ['Map', async () => new Map()],
  ['an adapter that is not proven', async () => new AwkwardAdapter(new Map(), { failures: 'thrown' })],
  ['SQLite', () => openAdapter({ kind: 'sqlite', file: join(folder, 'tokens.sqlite') })],
  ...(missingProgram('redis-server')
    ? []
    : [
        ['Redis', () => openAdapter({ kind: 'redis', url: server?.url ?? '' })] as [
          string,
          () => Promise<object>,
        ],
      ]),
]

const CHANNEL = 'msal-keyv:unreadable-record'
let reported: unknown[] = []
const listen = (event: unknown) => void reported.push(event)

beforeAll(async () => {
  folder = await makeFolder()
  if (!missingProgram('redis-server')) server = await RedisServer.start()
})
afterAll(async () => {
  await server?.stop()
  await removeFolder(folder)
})
beforeEach(() => subscribe(CHANNEL, listen))
afterEach(() => {
  unsubscribe(CHANNEL, listen)
  reported = []
})

const issuer = 'https://login.microsoftonline.com/{tenantid}/v2.0'

describe.each(STORES)('%s', (_store, adapter) => {
  describe.each(MAJORS)('%s', (_major, make) => {
    let keyv: KeyvLike
    let entra: EntraStandIn
    let msal: ConfidentialClients
    let logout: LogoutHandler
    let user: User
    let session: HostSession
    let links: Set<string>

    beforeEach(async () => {
      keyv = make(await adapter())
      links = new Set()
      const setMany = keyv.setMany?.bind(keyv)
      keyv.setMany = async (entries) => {
        for (const { key } of entries) if (/_[sund]$/.test(key)) links.add(key)
        return setMany?.(entries)
      }
      entra = new EntraStandIn({ size: 'small' })
      msal = new ConfidentialClients(entra.configuration(), { store: keyv })
      logout = new LogoutHandler(msal, { issuer, jwks: { keys: [] } })
      user = entra.user()
      session = await signIn()
    })
    afterEach(() => closeStore(keyv))

    const signIn = async (): Promise<HostSession> => {
      return (await entra.enter(msal, user)).session
    }
    const silent = (of = session) => msal.acquireTokenSilent(of, { scopes: SCOPES })
    const callback = async () => {
      const query = new URLSearchParams({ iss: entra.issuerFor(user.tid), sid: user.sid ?? '' })
      return logout.handle({ method: 'GET', url: `/logout?${query}` })
    }
    const signedOut = { errorCode: 'no_tokens_found' }

    test('a partition that Keyv cannot parse is reported, absent, and replaced by the next sign-in (P8)', async () => {
      const { partition } = keysOf(user.homeAccountId)
      await damage(keyv, partition)
      await expect(silent()).rejects.toMatchObject(signedOut)
      expect(reported).toContainEqual({ key: partition, reason: 'malformed' })
      expect((await silent(await signIn())).fromCache).toBe(true)
    })

    test('and an eviction deletes it', async () => {
      const { partition } = keysOf(user.homeAccountId)
      await damage(keyv, partition)
      await msal.plugin.evictAccount(user.homeAccountId)
      expect(await new KeyvStore(keyv, 1000).read([partition])).toEqual([undefined])
      expect((await silent(await signIn())).fromCache).toBe(true)
    })

    test('a generation invalidates all of its account, until it is replaced (P8)', async () => {
      const { generation } = keysOf(user.homeAccountId)
      for (const heal of [signIn, () => msal.plugin.evictAccount(user.homeAccountId).then(signIn)]) {
        await damage(keyv, generation)
        await expect(silent()).rejects.toMatchObject(signedOut)
        expect(await msal.plugin.isSignedIn(session)).toBe(false)
        expect(reported).toContainEqual({ key: generation, reason: 'malformed' })
        session = await heal()
        expect((await silent()).fromCache).toBe(true)
      }
    })

    test('links cost neither a sign-in nor a call, only a callback that finds nobody until the next sign-in', async () => {
      expect(links.size).toBe(3)
      for (const key of links) await damage(keyv, key)
      expect((await silent()).fromCache).toBe(true)
      expect(await callback()).toMatchObject({ status: 200, result: 'unknown-session' })
      for (const key of reported.map((event) => (event as { key: string }).key)) expect(links).toContain(key)
      session = await signIn()
      expect(await callback()).toMatchObject({ status: 200, result: 'evicted' })
      await expect(silent()).rejects.toMatchObject(signedOut)
    })

    test('nobody else is touched', async () => {
      const other = entra.user()
      const { session: others } = await entra.enter(msal, other)
      await damage(keyv, keysOf(user.homeAccountId).partition)
      const outcomes = await Promise.allSettled([silent(), silent(others), silent(), silent(others)])
      expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected', 'fulfilled'])
    })

    test.each(['', ' ', '{', 'null', '"a text', '{"value":"cut in the mid'])('%j', async (text) => {
      const store = new KeyvStore(keyv, 1000)
      await store.write('whole', 'v', 60_000)
      await damage(keyv, 'mk1_damaged', text)
      const [before, damaged, after] = await store.read(['whole', 'mk1_damaged', 'nothing'])
      expect([before, after]).toEqual(['v', undefined])
      // JSON's null is what Keyv takes for a miss, and a miss it is.
      if (text === 'null') expect([undefined, UNPARSEABLE]).toContain(damaged)
      else expect(damaged).toBe(UNPARSEABLE)
      expect(await store.read(['mk1_damaged'])).toEqual([damaged])
      await store.write('mk1_damaged', 'healed', 60_000)
      expect(await store.read(['mk1_damaged'])).toEqual(['healed'])
    })
  })
})

describe('behind what Keyv puts between itself and the store', () => {
  const zip = {
    compress: (text: unknown) => deflateSync(String(text)).toString('base64'),
    decompress: inflate,
  }
  const rot = { encrypt: (text: string) => `${text}~`, decrypt: unrot }
  function inflate(text: unknown) {
    return inflateSync(Buffer.from(String(text), 'base64')).toString()
  }
  function unrot(text: string) {
    if (!text.endsWith('~')) throw new Error('unable to authenticate data')
    return text.slice(0, -1)
  }

  test.each([
    ['compression, Keyv 5', (store: object) => new Keyv({ store, compression: zip })],
    ['compression, Keyv 6', (store: object) => new Keyv6({ store: store as never, compression: zip })],
    ['encryption, Keyv 6', (store: object) => new Keyv6({ store: store as never, encryption: rot })],
  ] as [string, (store: object) => KeyvLike][])('%s', async (_name, make) => {
    for (const adapter of [new Map(), new AwkwardAdapter(new Map())]) {
      const keyv = make(adapter)
      const store = new KeyvStore(keyv, 1000)
      for (const key of ['whole', 'damaged']) await store.write(key, 'v', 60_000)
      await damage(keyv, 'damaged', '{"value":"no such thing"}')
      expect(await store.read(['whole', 'damaged', 'nothing'])).toEqual(['v', UNPARSEABLE, undefined])
    }
  })
})

describe('what only looks like a value that Keyv cannot parse', () => {
  /** As an adapter over HTTP does when a proxy answers with a page. */
  test.each([
    ['Keyv 5', MAJORS[0]],
    ['Keyv 6', MAJORS[2]],
  ] as const)('%s: an outage that comes as a SyntaxError is an outage (P7)', async (_name, major) => {
    const failing = async () => JSON.parse('<html>') as unknown
    for (const proven of [false, true]) {
      const adapter = {
        opts: {},
        on() {},
        get: failing,
        getMany: failing,
        set: failing,
        delete: failing,
        clear: failing,
      }
      const keyv = major?.[1](
        proven ? { ...adapter, query() {}, opts: { dialect: 'sqlite' } } : adapter,
      ) as KeyvLike
      await expect(new KeyvStore(keyv, 1000).read(['k', 'g'])).rejects.toBeInstanceOf(StoreUnavailableError)
    }
  })

  test('one that Keyv could parse meanwhile is what failed to be read', async () => {
    const keyv = new Keyv({ store: new AwkwardAdapter(new Map()), namespace: '', useKeyPrefix: false })
    const store = new KeyvStore(keyv, 1000)
    await store.write('k', 'v', 1000)
    keyv.getRaw = async () => {
      throw new SyntaxError('once')
    }
    await expect(store.read(['k'])).rejects.toBeInstanceOf(StoreUnavailableError)
  })
})

test('P7: a library that takes every SyntaxError for a damaged value signs people out in an outage', async () => {
  const broken = await mutant<{ KeyvStore: typeof KeyvStore; UNPARSEABLE: symbol }>(
    'every SyntaxError taken for a damaged value',
    'KeyvStore',
  )
  const failing = async () => JSON.parse('<html>') as unknown
  const adapter = { opts: {}, on() {}, get: failing, set: failing, delete: failing, clear: failing }
  const store = new broken.KeyvStore(new Keyv({ store: adapter }), 1000)
  expect(await store.read(['k'])).toEqual([broken.UNPARSEABLE])
})
