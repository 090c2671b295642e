import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { createClient } from '@keyv/redis'
import Keyv from 'keyv'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type DiagnosticsEvents, TRACES } from '../src/diagnostics.ts'
import * as library from '../src/index.ts'
import { ConfidentialClients, generateEncryptionKey, type KeyvLike, LogoutHandler } from '../src/index.ts'
import { redis } from './contract/stores/redis.ts'
import { sqlite } from './contract/stores/sqlite.ts'
import { formsOf, namesFoundIn } from './support/clear-text.ts'
import { SCOPES, type User } from './support/entra.ts'
import { callback, type EveryFlow, runEveryFlow } from './support/every-flow.ts'
import { mutant } from './support/mutant.ts'
import { missingProgram } from './support/programs.ts'
import { isStored } from './support/stored.ts'

const encryptionKey = generateEncryptionKey()
const keyBytes = Buffer.from(encryptionKey.key, 'base64url')
const keySecret = 'what only the servers know'
const sealed = { encryptionKeys: [encryptionKey], keySecret }

/** Everything that must not be seen, by a name that may. */
function secretsOf({ entra, ada, brief, evicted, assertion, sessionKey, logoutToken }: EveryFlow) {
  const secrets: Record<string, string | Buffer> = {
    'the encryption key': keyBytes,
    'the encryption key’s text': encryptionKey.key,
    'the key secret': keySecret,
    'the client secret': 'not a secret',
    'the assertion': assertion,
    'the session key': sessionKey,
    'the logout token': logoutToken,
    'the mail domain': '@contoso.example',
    'the session of Grace': 'the session of Grace',
  }
  for (const [index, token] of entra.secretsOf().entries()) {
    const { kind } = entra.ownerOf(token) ?? { kind: 'token' }
    secrets[`${kind} ${index}`] = token
  }
  for (const user of [ada, brief, ...evicted]) Object.assign(secrets, secretsOfUser(user))
  return secrets
}

function secretsOfUser({ name, username, homeAccountId, uid, sub, sid }: User) {
  return {
    [`the name of ${name}`]: name,
    [`the address of ${name}`]: username,
    [`the account id of ${name}`]: homeAccountId,
    // Longer than what all account ids have in common.
    [`the first half of the account id of ${name}`]: uid,
    [`the subject of ${name}`]: sub,
    ...(sid === null ? {} : { [`the session of ${name}`]: sid }),
  }
}

test('what is looked for is found in every form and at every place', () => {
  const secret = 'Ada Lovelace ÿ?>~'
  for (const offset of [0, 1, 2, 3, 4, 5]) {
    const text = `${'x'.repeat(offset)}${secret} and more`
    for (const encoding of ['latin1', 'hex', 'base64', 'base64url'] as const) {
      const bytes = Buffer.from(text)
      expect(namesFoundIn(`{"${bytes.toString(encoding)}"}`, { secret })).toEqual(['secret'])
      expect(namesFoundIn(`{"${bytes.toString(encoding)}"}`, { secret: 'Ada Byron ÿ?>~' })).toEqual([])
    }
  }
  expect(formsOf(secret)).toHaveLength(9)
})

/** Redis’ own dump, uncompressed, and whatever each command reads. */
async function dumpOfRedis(): Promise<string> {
  const address = redis.address()
  if (address?.kind !== 'redis') throw new Error('no Redis')
  const client = createClient({ url: address.url })
  await client.connect()
  await client.configSet('rdbcompression', 'no')
  const { dir = '' } = await client.configGet('dir')
  await client.sendCommand(['SAVE'])
  const dump = (await readFile(join(dir, 'dump.rdb'))).toString('latin1')
  const keys = await client.keys('*')
  expect(keys.length).toBeGreaterThan(15)
  for (const key of keys) expect(dump).toContain(key)
  await client.flushAll()
  client.destroy()
  return dump
}

async function filesOfSqlite(): Promise<string> {
  const address = sqlite.address()
  if (address?.kind !== 'sqlite') throw new Error('no SQLite')
  const files = await Promise.all(
    ['', '-wal'].map(async (suffix) => (await readFile(address.file + suffix)).toString('latin1')),
  )
  expect(files.join()).toContain('mk1_{')
  return files.join()
}

for (const [store, dump] of [
  [redis, dumpOfRedis],
  [sqlite, filesOfSqlite],
] as const) {
  describe.skipIf(missingProgram(...store.programs))(`the files of ${store.name}`, () => {
    beforeAll(() => store.start())
    afterAll(() => store.stop())

    // In this order: a database file keeps what was deleted from it.
    test('show nothing of what is sealed', async () => {
      const world = await runEveryFlow(await store.open(), sealed)
      expect(namesFoundIn(await dump(), secretsOf(world))).toEqual([])
    })

    test('show all of it where nothing is', async () => {
      const world = await runEveryFlow(await store.open())
      const found = namesFoundIn(await dump(), secretsOf(world))
      const { name } = world.ada
      expect(found).toEqual(
        expect.arrayContaining([
          `the name of ${name}`,
          `the address of ${name}`,
          `the account id of ${name}`,
          'the mail domain',
        ]),
      )
      expect(found.filter((it) => it.startsWith('refresh_token')).length).toBeGreaterThan(2)
      // What the library never writes, sealed or not.
      for (const never of [
        'the client secret',
        'the session key',
        'the logout token',
        'the session of Grace',
      ]) {
        expect(found).not.toContain(never)
      }
    })
  })
}

/** Records what every channel of the library carries while `run` does, as `util.inspect` and as JSON show it. */
async function published(run: () => Promise<unknown>): Promise<string> {
  const shown: string[] = []
  const seen = new Set<string>()
  const look = (name: string) => (event: unknown) => {
    seen.add(name)
    shown.push(show(event))
  }
  const names = Object.keys({
    'msal-keyv:unreadable-record': true,
    'msal-keyv:unknown-session': true,
    'msal-keyv:issuer-mismatch': true,
    'msal-keyv:sign-in-without-link': true,
    'msal-keyv:refused-write': true,
    'msal-keyv:commit-failed': true,
    'msal-keyv:dropped-entities': true,
  } satisfies Record<keyof DiagnosticsEvents, true>)
  const listeners = names.map((name) => ({ name, listener: look(name) }))
  for (const { name, listener } of listeners) subscribe(name, listener)
  const traces = TRACES.map((name) => {
    const on = look(name)
    const subscribers = { start: on, end: on, asyncStart: on, asyncEnd: on, error: on }
    tracingChannel(name).subscribe(subscribers)
    return { name, subscribers }
  })
  await run()
  for (const { name, listener } of listeners) unsubscribe(name, listener)
  for (const { name, subscribers } of traces) tracingChannel(name).unsubscribe(subscribers)
  expect([...seen].toSorted()).toEqual([...names, ...TRACES].toSorted())
  return shown.join('\n')
}

function show(value: unknown): string {
  const own = value instanceof Error ? [value.stack, value.message, String(value.cause)] : []
  return [inspect(value, { showHidden: true, depth: 10 }), JSON.stringify(value), ...own].join('\n')
}

/** A Keyv whose calls fail when told to, as drivers do that quote what they failed on: a record, or a token. */
function failing(inner: Map<string, string>) {
  let quoting = false
  const keyv = new Keyv(inner, { useKeyPrefix: false })
  const stored = () => [...inner.values()].join()
  const store = new Proxy(keyv, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      if (!quoting || !['getMany', 'set', 'setMany', 'delete'].includes(String(name)))
        return value.bind(target)
      return async () => {
        const from = stored().indexOf(name === 'getMany' ? 'username' : 'secret')
        const [, , token = ''] = stored().slice(from).split('\\"')
        throw new Error(name === 'getMany' ? `ERR {\\"v\\":1} ${stored().slice(from)}` : `ERR ${token}`)
      }
    },
  }) as unknown as KeyvLike
  const fail = (on: boolean) => {
    quoting = on
  }
  return { store, fail }
}

/** Whatever goes wrong: every flow over a store that fails, logout requests that are none, damaged records. */
async function provoke(
  world: EveryFlow,
  { store, fail }: ReturnType<typeof failing>,
  map: Map<string, string>,
  options: object,
) {
  const { entra, msal, logout, ada, session, brief, useAll, logoutToken } = world
  const { plugin } = msal
  const errors: unknown[] = []
  const attempt = (run: () => unknown) =>
    Promise.resolve()
      .then(run)
      .then(
        (result) => errors.push((result as { error?: unknown } | undefined)?.error),
        (error: unknown) => errors.push(error),
      )
  for (const on of [true, false]) {
    fail(on)
    await attempt(() => entra.enter(msal, ada))
    for (const { error } of await useAll()) errors.push(error)
    await attempt(() => msal.acquireTokenSilent(session, { scopes: SCOPES, forceRefresh: true }))
    await attempt(() => isStored(plugin, ada))
    await attempt(() => plugin.evictAccount(brief.homeAccountId))
    await attempt(() => logout.handle(callback(logoutToken)))
    await attempt(() => logout.handle(callback(`${logoutToken}x`)))
    await attempt(() => logout.parse(callback(entra.assertion(ada))))
    await attempt(() =>
      logout.handle({ method: 'GET', url: `/logout?sid=nobody&iss=${entra.issuerFor(ada.tid)}` }),
    )
  }
  // A refresh that is refused, since the account was evicted and is back.
  const held = entra.hold(({ grant }) => grant === 'refresh_token')
  const bound = entra.client(plugin.forAccount(session))
  const cache = bound.getTokenCache()
  const refresh = msal.acquireTokenSilent(session, { scopes: SCOPES, forceRefresh: true })
  await held.arrived
  await plugin.evictAccount(ada.homeAccountId)
  await entra.enter(msal, ada)
  held.release()
  await attempt(() => refresh)
  await attempt(() => cache.getAllAccounts())
  await attempt(() => entra.signIn(bound, ada))
  // A refresh that cannot be stored.
  const forgiving = new ConfidentialClients(entra.configuration(), {
    ...options,
    store,
    onCommitFailure: 'report',
  })
  const again = entra.hold(({ grant }) => grant === 'refresh_token')
  const unstored = forgiving.acquireTokenSilent(ada, { scopes: SCOPES, forceRefresh: true })
  await again.arrived
  fail(true)
  again.release()
  await attempt(() => unstored)
  fail(false)
  // Callbacks of an issuer that no sign-in is of.
  const elsewhere = new ConfidentialClients(entra.configuration(), { ...options, store })
  new LogoutHandler(elsewhere, { issuer: 'https://op.example' })
  // The event names the issuer, and so a tenant: one that is in nobody else's account id.
  const tenant = 'b0e00000-0000-4000-8000-000000000b0e'
  await attempt(() => entra.enter(elsewhere, entra.user({ utid: tenant, tid: tenant })))
  // Records that are not what they should be.
  for (const [key, text] of map) map.set(key, text.replace('v1.', 'v2.').replace('"v\\":1', '"v\\":2'))
  for (const { error } of await useAll()) errors.push(error)
  // Entities of nobody, and misuse.
  await attempt(() =>
    entra.client(plugin).acquireTokenByClientCredential({ scopes: ['https://a/.default'], skipCache: true }),
  )
  await attempt(() => entra.client(plugin).getTokenCache().getAllAccounts())
  await attempt(() => plugin.forAccount({ homeAccountId: `${ada.homeAccountId}\n` }))
  await attempt(() => plugin.openSession({} as never))
  await attempt(() =>
    msal
      .beginSignIn({ scopes: SCOPES, redirectUri: 'https://app.example/callback' })
      .then(({ pending }) => msal.completeSignIn(pending, { error: 'x', state: pending.state })),
  )
  await attempt(() => plugin.openSession({ account: entra.user() } as never))
  await attempt(async () => entra.enter(msal, entra.user({ name: 'Nobody Known', sid: null })))
  return errors.filter((error) => error !== undefined)
}

describe.each([
  ['sealed', sealed],
  ['in plaintext', {}],
])('what a process shows of itself where records are %s', (_, options) => {
  async function shown(broken?: typeof library) {
    const map = new Map<string, string>()
    const store = failing(map)
    let world: EveryFlow | undefined
    let errors: unknown[] = []
    const events = await published(async () => {
      world = await runEveryFlow(store.store, options, 'realistic', broken)
      errors = await provoke(world, store, map, options)
    })
    if (world === undefined) throw new Error('nothing ran')
    return { world, errors, events, secrets: secretsOf(world) }
  }

  test('no event, on any channel, and no error of the library carries a secret', async () => {
    const { errors, events, secrets } = await shown()
    expect(namesFoundIn(events, secrets)).toEqual([])
    expect(errors.length).toBeGreaterThan(15)
    const codes = new Set(errors.map((error) => (error as { code?: string }).code))
    for (const code of ['CONFIGURATION', 'STORE_UNAVAILABLE', 'EVICTION', 'LOGOUT_CALLBACK']) {
      expect(codes).toContain(`ERR_${code}`)
    }
    expect(namesFoundIn(errors.map(show).join('\n'), secrets)).toEqual([])
  })

  test('what util.inspect shows of plugin, clients and handler is no secret', async () => {
    const { world, secrets } = await shown()
    const { msal, logout, ada, assertion, sessionKey, entra } = world
    const { plugin } = msal
    const bound = plugin.forAccount(ada)
    await entra.client(bound).getTokenCache().getAllAccounts()
    const all = {
      plugin,
      msal,
      logout,
      bound,
      app: plugin.forApp('contoso'),
      assertion: plugin.forAssertion(assertion),
      process: plugin.forLongRunningProcess(sessionKey, assertion),
    }
    for (const it of Object.values(all)) {
      expect(namesFoundIn(show(it), secrets)).toEqual([])
      expect(namesFoundIn(inspect(it, { showHidden: true, depth: 10, getters: true }), secrets)).toEqual([])
    }
  })
})

describe('the tests above can fail', () => {
  async function found(
    broken: typeof library,
    look: (world: EveryFlow, fail: () => void) => Promise<unknown>,
  ) {
    const store = failing(new Map())
    const world = await runEveryFlow(store.store, {}, 'realistic', broken)
    const seen = await look(world, () => store.fail(true)).catch((error: unknown) => error)
    return namesFoundIn(typeof seen === 'string' ? seen : show(seen), secretsOf(world))
  }

  test.each([
    ['a record', 'errors quote records', 'listSessions'],
    ['a token', 'errors quote tokens', 'evictAccount'],
  ] as const)('an error that quotes %s', async (_, name, call) => {
    const look = (world: EveryFlow, fail: () => void) => {
      fail()
      const { plugin } = world.msal
      return call === 'listSessions' ? plugin[call](world.ada) : plugin[call](world.ada.homeAccountId)
    }
    expect(await found(library, look)).toEqual([])
    expect(await found(await mutant(name), look)).not.toEqual([])
  })

  test('a trace that shows what was loaded', async () => {
    const look = async ({ msal, ada }: EveryFlow) => {
      const results: unknown[] = []
      const asyncEnd = (event: object) => void results.push('result' in event ? event.result : undefined)
      tracingChannel('msal-keyv:load').asyncEnd.subscribe(asyncEnd as never)
      await isStored(msal.plugin, ada)
      tracingChannel('msal-keyv:load').asyncEnd.unsubscribe(asyncEnd as never)
      // A snapshot shows nothing by itself, but whoever has it can ask it.
      return show(
        results.flatMap((result) => [result, (result as { partition?: unknown } | undefined)?.partition]),
      )
    }
    expect(await found(library, look)).toEqual([])
    const open = await mutant('traces show results')
    expect(await found(open, look)).not.toEqual([])
  })

  test('clients that show their configuration', async () => {
    const look = async ({ msal }: EveryFlow) => show(msal)
    expect(await found(library, look)).toEqual([])
    const open = await mutant('clients show their configuration')
    expect(await found(open, look)).toContain('the client secret')
  })
})
