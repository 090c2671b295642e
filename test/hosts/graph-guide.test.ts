import express from 'express'
import { Keyv } from 'keyv'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { GraphUserChange } from '../../src/graph/index.ts'
import { ConfidentialClients, type HostSession } from '../../src/index.ts'
import { EntraStandIn, TENANT_ID, type User } from '../support/entra.ts'
import { GraphStandIn } from '../support/graph.ts'
import { listening, type RunningHost } from '../support/hosts.ts'
import { runSample, sampleUnder } from '../support/run-sample.ts'

const PAGE = 'docs/directory-events.md'

interface Guide {
  graph(method: string, path: string, body?: object): Promise<Response>
  keepSubscription(): Promise<void>
  mustSignInAgain(user: GraphUserChange): Promise<boolean>
}

/** The samples' names, as test/support/sample-host.d.ts declares them. */
const globals = globalThis as unknown as Record<string, unknown>
const entra = new EntraStandIn({ size: 'small' })

let msal: ConfidentialClients
let standIn: GraphStandIn
let host: RunningHost
let guide: Guide
/** The renewal that the endpoint has begun. */
let kept: Promise<void> | undefined

beforeEach(async () => {
  msal = new ConfidentialClients(entra.configuration(), { store: new Keyv() })
  standIn = await GraphStandIn.start(TENANT_ID)
  const app = express()
  host = await listening(app.listen(0, '127.0.0.1'))
  kept = undefined
  Object.assign(globals, {
    ...{ app, msal, plugin: msal.plugin, tenantId: TENANT_ID },
    clientState: 'vNRy3jzT8nUqCjX2pW0aQm5k',
    notificationUrl: `${host.url}/graph-notifications`,
  })
  const address = { 'https://graph.microsoft.com/v1.0': standIn.url }
  const subscribing = await runSample<Guide>(sampleUnder(PAGE, '## Subscribe'), address, [
    'graph',
    'keepSubscription',
  ])
  const keepSubscription = () => {
    kept = subscribing.keepSubscription()
    return kept
  }
  Object.assign(globals, { graph: subscribing.graph, keepSubscription })
  await runSample(sampleUnder(PAGE, '## Receive'), {}, [])
  const heading = '## Decide what an update means'
  guide = { ...subscribing, ...(await runSample<Guide>(sampleUnder(PAGE, heading), {}, ['mustSignInAgain'])) }
})

afterEach(async () => {
  for (const name of ['app', 'msal', 'plugin', 'tenantId', 'clientState', 'notificationUrl'])
    delete globals[name]
  for (const name of ['graph', 'keepSubscription']) delete globals[name]
  await host.close()
  await standIn.stop()
})

async function signIn(): Promise<{ user: User; session: HostSession }> {
  const user = entra.user()
  const { session } = await entra.enter(msal, user)
  standIn.addUser(user.oid)
  return { user, session }
}

test('one subscription is created, and then renewed', async () => {
  await guide.keepSubscription()
  const [first] = standIn.subscriptions.values()
  expect(first).toMatchObject({ resource: 'users', changeType: 'updated,deleted' })
  await guide.keepSubscription()
  expect([...standIn.subscriptions.keys()]).toEqual([first?.id])
})

test('who is disabled is evicted, and nobody else', async () => {
  await guide.keepSubscription()
  const [alice, bob] = [await signIn(), await signIn()]
  standIn.disable(alice.user.oid)
  expect(await standIn.deliver()).toEqual([202])
  expect(await msal.plugin.isSignedIn(alice.session)).toBe(false)
  expect(await msal.plugin.isSignedIn(bob.session)).toBe(true)
})

test('a subscription that was removed is created again', async () => {
  await guide.keepSubscription()
  const [id = ''] = standIn.subscriptions.keys()
  standIn.tell(id, 'subscriptionRemoved')
  expect(standIn.subscriptions.size).toBe(0)
  expect(await standIn.deliver()).toEqual([202])
  await kept
  expect(standIn.subscriptions.size).toBe(1)
})

test('what is no notification is answered with the status of its error', async () => {
  const url = String(globals.notificationUrl)
  expect((await fetch(url, { method: 'POST', body: '{}' })).status).toBe(400)
})

test('an update means what Graph says of the user', async () => {
  const { oid } = (await signIn()).user
  const ask = (changeType: GraphUserChange['changeType'] = 'updated') =>
    guide.mustSignInAgain({ tenantId: TENANT_ID, objectId: oid, changeType })
  standIn.rename(oid)
  expect(await ask()).toBe(false)
  standIn.revokeSessions(oid)
  expect(await ask()).toBe(true)
  standIn.addUser(oid)
  standIn.disable(oid)
  expect(await ask()).toBe(true)
  standIn.addUser(oid)
  standIn.delete(oid)
  expect(await ask()).toBe(true)
  standIn.addUser(oid)
  expect(await ask('deleted')).toBe(true)
  await standIn.stop()
  await expect(ask()).rejects.toThrow()
  standIn = await GraphStandIn.start(TENANT_ID)
})
