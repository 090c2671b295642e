import { Keyv } from 'keyv'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  type GraphNotificationCollection,
  GraphNotificationError,
  parseGraphNotification,
} from '../../src/graph/index.ts'
import { ConfidentialClients, type HostSession } from '../../src/index.ts'
import { EntraStandIn, SCOPES, TENANT_ID, type User } from '../support/entra.ts'
import { GraphStandIn } from '../support/graph.ts'
import { userNotification } from '../support/graph-notifications.ts'
import type { RunningHost } from '../support/hosts.ts'
import { type Handle, type HostAnswer, notificationHosts } from '../support/notification-hosts.ts'
import { observe } from '../support/observed-store.ts'

const clientState = 'vNRy3jzT8nUqCjX2pW0aQm5k'
const DAY = 24 * 60 * 60 * 1000
const MINUTE = 60_000

let entra: EntraStandIn
let store: ReturnType<typeof observe>
let msal: ConfidentialClients
let graph: GraphStandIn
let host: RunningHost
let notificationUrl: string
/** What the host was told, and what it answered. */
let received: GraphNotificationCollection[]
let alice: { user: User; session: HostSession }
let bob: { user: User; session: HostSession }

/** What the guide has a host do by default: whoever is named is evicted, and only then it answers. */
const evictAll: Handle = async (request) => {
  try {
    const notification = await parseGraphNotification(request, { clientState })
    if (notification.kind === 'notifications') {
      received.push(notification)
      for (const { tenantId, objectId } of notification.users) {
        await msal.plugin.evictDirectoryUser(tenantId, objectId)
      }
    }
    return notification.response
  } catch (error) {
    return { status: error instanceof GraphNotificationError ? error.status : 503, headers: {} }
  }
}

async function start(name: string, handle: Handle = evictAll): Promise<void> {
  entra = new EntraStandIn({ size: 'small' })
  store = observe(new Keyv())
  msal = new ConfidentialClients(entra.configuration(), { store: store.keyv })
  graph = await GraphStandIn.start(TENANT_ID)
  host = await (notificationHosts[name] as NonNullable<(typeof notificationHosts)[string]>)(handle)
  notificationUrl = `${host.url}/graph-notifications`
  received = []
  alice = await signIn()
  bob = await signIn()
}

async function signIn(user = entra.user()): Promise<{ user: User; session: HostSession }> {
  const { session } = await entra.enter(msal, user)
  graph.addUser(user.oid)
  return { user, session }
}

function askGraph(method: string, path: string, body: object): Promise<Response> {
  const headers = { authorization: 'Bearer token', 'content-type': 'application/json' }
  return fetch(`${graph.url}${path}`, { method, headers, body: JSON.stringify(body) })
}

const inDays = (days: number) => new Date(Date.now() + days * DAY).toISOString()

async function subscribe(changes: object = {}): Promise<string> {
  const response = await askGraph('POST', '/subscriptions', {
    changeType: 'updated,deleted',
    notificationUrl,
    lifecycleNotificationUrl: notificationUrl,
    resource: 'users',
    expirationDateTime: inDays(28),
    clientState,
    ...changes,
  })
  expect(response.status).toBe(201)
  return ((await response.json()) as { id: string }).id
}

async function expectSignedIn({ session }: { session: HostSession }): Promise<void> {
  expect((await msal.acquireTokenSilent(session, { scopes: SCOPES })).fromCache).toBe(true)
}

async function expectEvicted({ session }: { session: HostSession }): Promise<void> {
  const silent = msal.acquireTokenSilent(session, { scopes: SCOPES })
  await expect(silent).rejects.toMatchObject({ errorCode: 'no_tokens_found' })
}

afterEach(async () => {
  vi.useRealTimers()
  await host.close()
  await graph.stop()
})

describe.each(Object.keys(notificationHosts))('%s', (name) => {
  beforeEach(() => start(name))

  test('answers the validation of a subscription and of its renewal', async () => {
    const id = await subscribe()
    const renewal = await askGraph('PATCH', `/subscriptions/${id}`, { expirationDateTime: inDays(28) })
    expect(renewal.status).toBe(200)
    const url = `${notificationUrl}?validationToken=%3Cb%3E`
    expect((await fetch(url, { method: 'POST' })).status).toBe(400)
    const answer = await fetch(`${notificationUrl}?validationToken=a%20%26amp%3B+b`, { method: 'POST' })
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(await answer.text()).toBe('a &amp; b')
  })

  test('evicts who is disabled, revoked, or deleted, and nobody else', async () => {
    await subscribe()
    for (const happen of [
      () => graph.disable(alice.user.oid),
      () => graph.revokeSessions(alice.user.oid),
      () => graph.delete(alice.user.oid),
      () => graph.purge(alice.user.oid),
    ]) {
      await expectSignedIn(alice)
      happen()
      expect(await graph.deliver()).toEqual([202])
      await expectEvicted(alice)
      await expectSignedIn(bob)
      alice = await signIn(alice.user)
    }
  })

  test('believes nothing without its clientState, and does not tell so', async () => {
    for (const state of ['', 'guessed', `${clientState}x`]) {
      const body = JSON.stringify({
        value: [userNotification(alice.user.oid, state, { tenantId: TENANT_ID })],
      })
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(notificationUrl, { method: 'POST', headers, body })
      expect([answer.status, await answer.text()]).toEqual([202, ''])
    }
    expect(received).toMatchObject([{ untrusted: 1 }, { untrusted: 1 }, { untrusted: 1 }])
    await expectSignedIn(alice)
  })

  test('refuses what is neither a validation nor notifications', async () => {
    const post = (body: string, type = 'application/json') =>
      fetch(notificationUrl, { method: 'POST', headers: { 'content-type': type }, body })
    expect((await fetch(notificationUrl)).status).toBe(405)
    expect((await fetch(`${notificationUrl}?validationToken=x`)).status).toBe(405)
    expect((await post('{}')).status).toBe(400)
    expect((await post('{"value"')).status).toBe(400)
    expect((await post('value=1', 'application/x-www-form-urlencoded')).status).toBeGreaterThanOrEqual(400)
    expect((await post(JSON.stringify({ value: Array(1001).fill({}) }))).status).toBe(400)
    expect(received).toEqual([])
  })

  test('is sent again what it could not carry out', async () => {
    await subscribe()
    graph.disable(alice.user.oid)
    store.before('write', () => {
      throw new Error('down')
    })
    expect(await graph.deliver()).toEqual([503])
    await expectSignedIn(alice)
    expect(await graph.deliver()).toEqual([])
    graph.pass(MINUTE)
    expect(await graph.deliver()).toEqual([202])
    await expectEvicted(alice)
    expect(graph.pending).toBe(0)
  })
})

describe('what Graph does', () => {
  test('notifications twice and in reverse order evict whom they name', async () => {
    await start('node:http')
    await subscribe()
    graph.disable(alice.user.oid)
    graph.rename(bob.user.oid)
    graph.purge(alice.user.oid)
    expect(await graph.deliver({ reversed: true, twice: true })).toEqual([202, 202])
    const { tenantId, ...user } = { tenantId: TENANT_ID, objectId: alice.user.oid }
    expect(received[0]?.users).toEqual([
      { tenantId, ...user, changeType: 'deleted' },
      { tenantId, objectId: bob.user.oid, changeType: 'updated' },
      { tenantId, ...user, changeType: 'updated' },
    ])
    expect(received[1]?.users).toEqual(received[0]?.users)
    await expectEvicted(alice)
    await expectEvicted(bob)
  })

  test('one that is answered after three seconds is sent again, and then carried out a second time', async () => {
    const arrived = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    await start('node:http', async (request) => {
      const answer = await evictAll(request)
      if (received.length === 1) {
        arrived.resolve()
        await released.promise
      }
      return answer
    })
    await subscribe()
    graph.disable(alice.user.oid)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const outcomes = graph.deliver()
    await arrived.promise
    await vi.advanceTimersByTimeAsync(2999)
    expect(await Promise.race([outcomes, 'still waiting'])).toBe('still waiting')
    await vi.advanceTimersByTimeAsync(1)
    expect(await outcomes).toEqual([undefined])
    released.resolve()
    vi.useRealTimers()
    await expectEvicted(alice)
    graph.pass(MINUTE)
    expect(await graph.deliver()).toEqual([202])
    expect(received).toHaveLength(2)
  })

  test('what nobody accepts for four hours is dropped', async () => {
    await start('node:http', async (request): Promise<HostAnswer> => {
      const answer = await evictAll(request)
      return answer.status === 200 ? answer : { status: 500, headers: {} }
    })
    await subscribe()
    graph.rename(alice.user.oid)
    let attempts = 0
    for (let minutes = 0; minutes < 5 * 60; minutes++) {
      attempts += (await graph.deliver()).length
      graph.pass(MINUTE)
    }
    expect([graph.dropped, graph.pending]).toEqual([1, 0])
    expect(attempts).toBeGreaterThan(20)
  })

  test('notifications of two subscriptions at one URL: the foreign one is dropped, and not sent again', async () => {
    await start('node:http')
    await subscribe({ clientState: 'of an older deployment' })
    graph.rename(bob.user.oid)
    await subscribe()
    graph.disable(alice.user.oid)
    expect(await graph.deliver()).toEqual([202])
    expect(received).toMatchObject([{ users: [{ objectId: alice.user.oid }], untrusted: 2, ignored: 0 }])
    expect(graph.pending).toBe(0)
    await expectEvicted(alice)
    await expectSignedIn(bob)
  })

  test('lifecycle notifications arrive with the subscription that they are about', async () => {
    await start('node:http')
    const id = await subscribe()
    for (const event of ['reauthorizationRequired', 'missed', 'subscriptionRemoved'] as const) {
      graph.tell(id, event)
      expect(await graph.deliver()).toEqual([202])
      const expected = { lifecycleEvent: event, subscriptionId: id, tenantId: TENANT_ID }
      expect(received.pop()).toMatchObject({ users: [], lifecycle: [expected], ignored: 0, untrusted: 0 })
    }
    graph.disable(alice.user.oid)
    expect(await graph.deliver()).toEqual([])
  })

  test('a host that does not answer the validation gets no subscription', async () => {
    await start('node:http', async () => ({ status: 200, headers: {}, body: 'ok' }))
    await expect(subscribe()).rejects.toThrow()
    expect(graph.subscriptions.size).toBe(0)
  })
})
