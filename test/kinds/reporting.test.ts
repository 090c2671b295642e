import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import Keyv from 'keyv'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ConfidentialClients } from '../../src/index.ts'
import { acquireSilently, EntraStandIn, SCOPES } from '../support/entra.ts'
import { observe, type StoreCall } from '../support/observed-store.ts'
import { isStored } from '../support/stored.ts'

let failures = 0
const count = () => void failures++
beforeEach(() => subscribe('msal-keyv:commit-failed', count))
afterEach(() => void unsubscribe('msal-keyv:commit-failed', count))

function host() {
  const entra = new EntraStandIn({ size: 'small' })
  const store = observe(new Keyv())
  const msal = new ConfidentialClients(entra.configuration(), {
    store: store.keyv,
    onCommitFailure: 'report',
  })
  const signIn = async (user = entra.user()) => {
    return (await entra.enter(msal, user)).session
  }
  return { entra, store, msal, signIn }
}

test("onCommitFailure: 'report' returns what a refresh acquired, and stores it with the next", async () => {
  for (const call of ['read', 'write'] as const) {
    failures = 0
    const { entra, store, msal, signIn } = host()
    const session = await signIn(entra.user())
    const held = entra.hold(({ grant }) => grant === 'refresh_token')
    const refresh = msal.acquireTokenSilent(session, { scopes: ['api://a/read'] })
    await held.arrived
    store.before(call, () => {
      throw new Error('down')
    })
    held.release()
    expect((await refresh).accessToken).not.toBe('')
    expect(failures).toBe(1)

    const again = await msal.acquireTokenSilent(session, { scopes: ['api://a/read'] })
    expect(again.fromCache).toBe(false)
    expect((await msal.acquireTokenSilent(session, { scopes: ['api://a/read'] })).fromCache).toBe(true)
  }
})

test("with 'report' a sign-in that is not stored, a failed load and a failed eviction still throw", async () => {
  const { store, msal, signIn, entra } = host()
  const user = entra.user()
  const session = await signIn(user)
  const failing = async (call: StoreCall, action: () => Promise<unknown>) => {
    store.before(call, () => {
      throw new Error('down')
    })
    await expect(action()).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_(STORE_UNAVAILABLE|EVICTION)$/),
    })
  }
  await failing('write', () => signIn(user))
  await failing('read', () => msal.acquireTokenSilent(session, { scopes: SCOPES }))
  await failing('write', () => msal.plugin.evictAccount(user.homeAccountId))
})

test("with 'report' removeAccount, and a sign-in on a bound client, still throw", async () => {
  const { entra, store, msal, signIn } = host()
  const user = entra.user()
  await signIn(user)
  const down = (call: StoreCall) =>
    store.before(call, () => {
      throw new Error('down')
    })
  for (const call of ['read', 'write'] as const) {
    const cache = entra.client(msal.plugin.forAccount(user)).getTokenCache()
    const [account] = await cache.getAllAccounts()
    if (account === undefined) throw new Error('the account is not there')
    down(call)
    await expect(cache.removeAccount(account)).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_/) })
    expect(await isStored(msal.plugin, user)).toBe(true)
  }
  const another = entra.user()
  down('write')
  await expect(entra.signIn(entra.client(msal.plugin.forAccount(another)), another)).rejects.toMatchObject({
    code: 'ERR_STORE_UNAVAILABLE',
  })
})

test("with 'report' what could not be stored leaves MSAL's memory, and the next call finds what is stored", async () => {
  const { entra, store, msal, signIn } = host()
  const user = entra.user()
  await signIn(user)
  const client = entra.client(msal.plugin.forAccount(user))
  const held = entra.hold(({ grant }) => grant === 'refresh_token')
  const refresh = acquireSilently(client, user.homeAccountId, { forceRefresh: true })
  await held.arrived
  store.before('read', () => {
    throw new Error('down')
  })
  held.release()
  const { accessToken } = await refresh
  expect(client.getTokenCache().serialize()).not.toContain(accessToken)
  const hit = await acquireSilently(client, user.homeAccountId)
  expect(hit.fromCache).toBe(true)
  expect(hit.accessToken).not.toBe(accessToken)
})
