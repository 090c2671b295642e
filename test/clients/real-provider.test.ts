import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Keyv from 'keyv'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RunningProvider, startProvider } from '../../examples/demo/provider.ts'
import { AuthorizationResponseError, ConfidentialClients } from '../../src/index.ts'
import { HttpBrowser } from '../support/http-browser.ts'

const clientId = 'app'
const scopes = ['notes.read']

let provider: RunningProvider
let msal: ConfidentialClients
let redirectUri: string
/** What the provider sends browsers back with, newest last. */
const responses: URLSearchParams[] = []
const app = createServer((request, response) => {
  responses.push(new URL(request.url ?? '', redirectUri).searchParams)
  response.end('back')
})

beforeAll(async () => {
  app.listen(0, '127.0.0.1')
  await once(app, 'listening')
  redirectUri = `http://127.0.0.1:${(app.address() as AddressInfo).port}/callback`
  provider = await startProvider()
  const configuration = await provider.register({ clientId, redirectUri })
  msal = new ConfidentialClients(configuration, { store: new Keyv() })
})
afterAll(async () => {
  app.close()
  app.closeAllConnections()
  await provider.close()
})

/** A visitor signs in at the provider, and comes back. */
async function visit(name: string) {
  // The provider drops offline_access, and with it the refresh token, where nobody is asked for consent.
  const { url, pending } = await msal.beginSignIn({ scopes, redirectUri, prompt: 'consent' })
  const browser = new HttpBrowser()
  const login = await browser.get(provider.browserUrl(url))
  await browser.post(login.url, { name })
  const response = responses.at(-1)
  if (response === undefined) throw new Error('nobody came back')
  return { pending: JSON.parse(JSON.stringify(pending)) as typeof pending, response }
}

test('a real provider takes state, nonce and PKCE as they are made', async () => {
  const { pending, response } = await visit('alice')
  const { session, result } = await msal.completeSignIn(pending, response)
  expect(result.idTokenClaims).toMatchObject({ sub: 'alice', nonce: pending.nonce })
  expect((await msal.acquireTokenSilent(session, { scopes, forceRefresh: true })).fromCache).toBe(false)
})

test('a code that belongs to another visitor’s sign-in does not redeem', async () => {
  const [alice, mallory] = [await visit('alice'), await visit('mallory')]
  await expect(msal.completeSignIn(alice.pending, mallory.response)).rejects.toBeInstanceOf(
    AuthorizationResponseError,
  )
  const injected = { code: mallory.response.get('code') ?? '', state: alice.pending.state }
  await expect(msal.completeSignIn(alice.pending, injected)).rejects.toMatchObject({
    errorCode: 'invalid_grant',
  })
})

test('a double click: invalid_grant, and the provider ends what the first click began (RFC 6749 §4.1.2)', async () => {
  const { pending, response } = await visit('carol')
  const { session } = await msal.completeSignIn(pending, response)
  await expect(msal.completeSignIn(pending, response)).rejects.toMatchObject({
    errorCode: 'invalid_grant',
  })
  // Signed in here, until the token has expired.
  expect((await msal.acquireTokenSilent(session, { scopes })).fromCache).toBe(true)
  const refresh = msal.acquireTokenSilent(session, { scopes, forceRefresh: true })
  await expect(refresh).rejects.toMatchObject({ errorCode: 'invalid_grant' })
  await expect(msal.credentialFor(session).getToken(scopes, { claims: '{"a":1}' })).rejects.toMatchObject({
    name: 'AuthenticationRequiredError',
  })
})
