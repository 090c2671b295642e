import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import Keyv from 'keyv'
import { afterEach, expect, test } from 'vitest'
import { TRACES } from '../src/diagnostics.ts'
import { ConfidentialClients, type DiagnosticsEvents, LogoutHandler } from '../src/index.ts'
import { acquireSilently, EntraStandIn, SCOPES } from './support/entra.ts'
import { observe } from './support/observed-store.ts'
import { isStored, keysOf } from './support/stored.ts'

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

function host() {
  const entra = new EntraStandIn({ size: 'small' })
  const store = observe(new Keyv())
  const msal = new ConfidentialClients(entra.configuration(), { store: store.keyv })
  const signIn = async (user = entra.user()) => {
    return (await entra.enter(msal, user)).session
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
    ['evict', { existed: true }],
    ['logout', { status: 200, result: 'evicted', evicted: 1 }],
  ])
  expect(ended.slice(0, 4).every(({ message }) => (message as { key?: string }).key === key)).toBe(true)
  const text = JSON.stringify(seen)
  expect(entra.tokensIn(text)).toEqual([])
  for (const secret of [user.homeAccountId, user.username, user.name]) expect(text).not.toContain(secret)
})

test('an error is traced as the caller gets it', async () => {
  const seen = listen()
  const { msal, store } = host()
  store.before('write', () => {
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
  await isStored(msal.plugin, user)
  expect(names()).toEqual(['msal-keyv:unreadable-record'])
})
