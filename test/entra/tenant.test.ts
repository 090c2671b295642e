import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import { ConfidentialClients, type HostSession, LogoutHandler } from '../../src/index.ts'

const {
  ENTRA_AUTHORITY = '',
  ENTRA_CLIENT_ID = '',
  ENTRA_CLIENT_SECRET = '',
  ENTRA_SCOPE = 'User.Read',
  ENTRA_PORT = '3000',
  ENTRA_GUEST_TENANT = '',
} = process.env
const scopes = [ENTRA_SCOPE]
const redirectUri = `http://localhost:${ENTRA_PORT}/callback`

/** Waits for the developer's browser to come back from the provider. */
async function answerOf(url: string): Promise<URLSearchParams> {
  const { promise, resolve } = Promise.withResolvers<URLSearchParams>()
  const server = createServer((req, res) => {
    res.end('Go back to the test.')
    const { pathname, searchParams } = new URL(req.url ?? '', redirectUri)
    if (pathname === '/callback') resolve(searchParams)
  })
  await new Promise<void>((listening) => void server.listen(Number(ENTRA_PORT), listening))
  const { port } = server.address() as AddressInfo
  process.stderr.write(`\nListening on ${port}. Open this URL, and sign in:\n\n${url}\n\n`)
  try {
    return await promise
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

// What rests on a stand-in everywhere else. CONTRIBUTING.md says how to run it.
describe.runIf(ENTRA_CLIENT_ID !== '')('a tenant of your own', () => {
  const auth = { clientId: ENTRA_CLIENT_ID, clientSecret: ENTRA_CLIENT_SECRET, authority: ENTRA_AUTHORITY }

  test('sign-in, hit, refresh, claims, a guest’s tenant, callback', { timeout: 300_000 }, async () => {
    const msal = new ConfidentialClients({ auth }, { store: new Keyv(), rememberedAnswers: false })
    const { url, pending } = await msal.beginSignIn({ scopes, redirectUri, prompt: 'select_account' })
    const { session, result } = await msal.completeSignIn(pending, await answerOf(url))
    const { iss, tid, sub, oid, sid } = result.idTokenClaims as Record<string, string | undefined>
    expect({ tid, sub, oid }).toEqual({
      tid: session.tenantId,
      sub: expect.any(String),
      oid: expect.any(String),
    })
    const ask = (request: object = {}): ReturnType<typeof msal.acquireTokenSilent> =>
      msal.acquireTokenSilent(session, { scopes, ...request })
    for (let i = 0; i < 3; i++) expect((await ask()).fromCache).toBe(true)
    expect((await ask({ forceRefresh: true })).fromCache).toBe(false)
    expect((await ask()).fromCache).toBe(true)

    if (ENTRA_GUEST_TENANT !== '') {
      const guest = { tenantId: ENTRA_GUEST_TENANT }
      expect((await ask(guest)).fromCache).toBe(false)
      expect((await ask(guest)).fromCache).toBe(true)
      expect((await ask()).tenantId).toBe(session.tenantId)
    }

    const logout = new LogoutHandler(msal, { issuer: iss ?? '' })
    const named = new URLSearchParams({ iss: iss ?? '', sid: sid ?? session.sid ?? '' })
    const outcome = await logout.handle({ method: 'GET', url: `/logout?${named}` }, session as HostSession)
    expect(outcome.result).toBe('evicted')
    await expect(ask()).rejects.toMatchObject({ name: 'InteractionRequiredAuthError' })
  })
})
