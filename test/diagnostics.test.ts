import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import Keyv from 'keyv'
import { afterEach, expect, test } from 'vitest'
import { ConfidentialClients, type DiagnosticsEvents, LogoutHandler, TRACES } from '../src/index.ts'
import { acquireSilently, EntraStandIn, SCOPES } from './support/entra.ts'
import { observe } from './support/observed-store.ts'
import { keysOf } from './support/stored.ts'

const EVENTS = [
  'msal-keyv:unreadable-record',
  'msal-keyv:unknown-session',
  'msal-keyv:sign-in-without-link',
  'msal-keyv:refused-write',
  'msal-keyv:commit-failed',
  'msal-keyv:dropped-entities',
] as const satisfies (keyof DiagnosticsEvents)[]

const cleanUp: (() => void)[] = []
afterEach(() => {
  for (const end of cleanUp.splice(0)) end()
})

/** Collects all that is published from here on. */
function listen(): { name: string; message: unknown }[] {
  const seen: { name: string; message: unknown }[] = []
  for (const name of EVENTS) {
    const listener = (message: unknown) => seen.push({ name, message })
    subscribe(name, listener)
    cleanUp.push(() => unsubscribe(name, listener))
  }
  for (const name of TRACES) {
    const on = (event: string) => (message: object) =>
      seen.push({ name: `${name}:${event}`, message: { ...message } })
    const subscribers = {
      start: on('start'),
      end: on('end'),
      asyncStart: on('asyncStart'),
      asyncEnd: on('asyncEnd'),
      error: on('error'),
    }
    const channel = tracingChannel(name)
    channel.subscribe(subscribers)
    cleanUp.push(() => channel.unsubscribe(subscribers))
  }
  return seen
}

function host(onCommitFailure: 'throw' | 'report' = 'throw') {
  const entra = new EntraStandIn({ size: 'small' })
  const store = observe(new Keyv())
  const msal = new ConfidentialClients(entra.configuration(), { store: store.keyv, onCommitFailure })
  const signIn = async (user = entra.user()) => {
    const redirectUri = 'https://app.example/callback'
    return (await msal.acquireTokenByCode({ scopes: SCOPES, redirectUri, code: entra.code(user) })).session
  }
  return { entra, store, msal, signIn }
}

test('loads, commits, evictions and logouts are traced, with what came out and without a secret (P9)', async () => {
  const seen = listen()
  const { entra, msal, signIn } = host()
  const user = entra.user({ sid: 'session' })
  const session = await signIn(user)
  await msal.acquireTokenSilent(session, { scopes: SCOPES })
  const logout = new LogoutHandler(msal, { issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0' })
  await logout.handle({ method: 'GET', url: '/?sid=session' })

  const ended = seen.filter(({ name }) => name.endsWith('asyncEnd'))
  const key = keysOf(user.homeAccountId).partition
  expect(
    ended.map(({ name, message }) => [name.split(':')[1], (message as { result?: unknown }).result]),
  ).toEqual([
    ['load', { found: false }],
    ['commit', undefined],
    ['load', { found: true }],
    ['load', { found: true }],
    ['evict', { existed: true }],
    ['logout', { status: 200, result: 'evicted', evicted: 1 }],
  ])
  expect(ended.slice(0, 5).every(({ message }) => (message as { key?: string }).key === key)).toBe(true)
  const text = JSON.stringify(seen)
  expect(entra.tokensIn(text)).toEqual([])
  for (const secret of [user.homeAccountId, user.username, user.name]) expect(text).not.toContain(secret)
})

test('an error is traced as the caller gets it', async () => {
  const seen = listen()
  const { msal, store } = host()
  store.before('set', () => {
    throw new Error('down')
  })
  const error: unknown = await msal.plugin.evictAccount('alice').catch((reason: unknown) => reason)
  const traced = seen.find(({ name }) => name === 'msal-keyv:evict:error')
  expect(traced?.message).toMatchObject({ error })
})

test('what nobody would see otherwise is published', async () => {
  const seen = listen()
  const names = () =>
    seen.splice(0).flatMap(({ name }) => (EVENTS.some((event) => event === name) ? [name] : []))
  const { entra, store, msal, signIn } = host()
  const user = entra.user({ sid: null })

  await signIn(user)
  expect(names()).toEqual(['msal-keyv:sign-in-without-link'])
  const result = await entra.signIn(entra.client(msal.plugin), user)
  await msal.plugin.openSession(result)
  expect(names()).toEqual(['msal-keyv:sign-in-without-link'])
  await msal.plugin.openSession(result, { sessionState: 'state' })
  expect(names()).toEqual([])

  const logout = new LogoutHandler(msal, { issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0' })
  await logout.handle({ method: 'GET', url: '/?sid=nobody' })
  expect(names()).toEqual(['msal-keyv:unknown-session'])

  const held = entra.hold(({ grant }) => grant === 'refresh_token')
  const refresh = acquireSilently(entra.client(msal.plugin.forAccount(user)), user.homeAccountId, {
    forceRefresh: true,
  })
  await held.arrived
  await msal.plugin.evictAccount(user.homeAccountId)
  held.release()
  await refresh
  expect(names()).toEqual(['msal-keyv:refused-write'])

  const client = entra.client(msal.plugin)
  await client.acquireTokenByClientCredential({ scopes: ['a/.default'], skipCache: true })
  expect(names()).toEqual(['msal-keyv:dropped-entities'])

  await signIn(user)
  names()
  await store.keyv.set(keysOf(user.homeAccountId).partition, 'nonsense', 60_000)
  await msal.plugin.isSignedIn(user)
  expect(names()).toEqual(['msal-keyv:unreadable-record'])
})

test("onCommitFailure: 'report' returns what a refresh acquired, and stores it with the next", async () => {
  for (const call of ['getMany', 'setMany'] as const) {
    const seen = listen()
    const { entra, store, msal, signIn } = host('report')
    const session = await signIn(entra.user())
    const held = entra.hold(({ grant }) => grant === 'refresh_token')
    const refresh = msal.acquireTokenSilent(session, { scopes: ['api://a/read'] })
    await held.arrived
    store.before(call, () => {
      throw new Error('down')
    })
    held.release()
    expect((await refresh).accessToken).not.toBe('')
    expect(seen.some(({ name }) => name === 'msal-keyv:commit-failed')).toBe(true)

    const again = await msal.acquireTokenSilent(session, { scopes: ['api://a/read'] })
    expect(again.fromCache).toBe(false)
    expect((await msal.acquireTokenSilent(session, { scopes: ['api://a/read'] })).fromCache).toBe(true)
  }
})

test("with 'report' a sign-in that is not stored, a failed load and a failed eviction still throw", async () => {
  const { store, msal, signIn, entra } = host('report')
  const user = entra.user()
  const session = await signIn(user)
  const failing = async (call: 'getMany' | 'set' | 'setMany', action: () => Promise<unknown>) => {
    store.before(call, () => {
      throw new Error('down')
    })
    await expect(action()).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_(STORE_UNAVAILABLE|EVICTION)$/),
    })
  }
  await failing('setMany', () => signIn(user))
  await failing('getMany', () => msal.acquireTokenSilent(session, { scopes: SCOPES }))
  await failing('set', () => msal.plugin.evictAccount(user.homeAccountId))
})

test("with 'report' removeAccount, and a sign-in on a bound client, still throw", async () => {
  const { entra, store, msal, signIn } = host('report')
  const user = entra.user()
  await signIn(user)
  const down = (call: 'getMany' | 'set' | 'setMany') =>
    store.before(call, () => {
      throw new Error('down')
    })
  for (const call of ['getMany', 'set'] as const) {
    const cache = entra.client(msal.plugin.forAccount(user)).getTokenCache()
    const [account] = await cache.getAllAccounts()
    if (account === undefined) throw new Error('the account is not there')
    down(call)
    await expect(cache.removeAccount(account)).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_/) })
    expect(await msal.plugin.isSignedIn(user)).toBe(true)
  }
  const another = entra.user()
  down('setMany')
  await expect(entra.signIn(entra.client(msal.plugin.forAccount(another)), another)).rejects.toMatchObject({
    code: 'ERR_STORE_UNAVAILABLE',
  })
})

test("with 'report' what could not be stored leaves MSAL's memory, and the next call finds what is stored", async () => {
  const { entra, store, msal, signIn } = host('report')
  const user = entra.user()
  await signIn(user)
  const client = entra.client(msal.plugin.forAccount(user))
  const held = entra.hold(({ grant }) => grant === 'refresh_token')
  const refresh = acquireSilently(client, user.homeAccountId, { forceRefresh: true })
  await held.arrived
  store.before('getMany', () => {
    throw new Error('down')
  })
  held.release()
  const { accessToken } = await refresh
  expect(client.getTokenCache().serialize()).not.toContain(accessToken)
  const hit = await acquireSilently(client, user.homeAccountId)
  expect(hit.fromCache).toBe(true)
  expect(hit.accessToken).not.toBe(accessToken)
})
