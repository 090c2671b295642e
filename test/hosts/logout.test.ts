import { InteractionRequiredAuthError } from '@azure/msal-node'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ConfidentialClients, HostSession } from '../../src/index.ts'
import { EVENT, type SigningKey, sign, signingKey } from '../logout/provider.ts'
import { CLIENT_ID, EntraStandIn, SCOPES, TENANT_ID, type User } from '../support/entra.ts'
import { callbackUrl, logoutUrl, makeHostParts } from '../support/host-parts.ts'
import { hosts, type RunningHost } from '../support/hosts.ts'

let key: SigningKey
beforeAll(async () => {
  key = await signingKey('key-1')
})

describe.each(Object.entries(hosts))('%s', (_, start) => {
  let entra: EntraStandIn
  let msal: ConfidentialClients
  let host: RunningHost
  let alice: { user: User; session: HostSession }
  let bob: { user: User; session: HostSession }

  beforeEach(async () => {
    entra = new EntraStandIn({ size: 'small' })
    const parts = makeHostParts(entra, { keys: [key.jwk] })
    msal = parts.msal
    host = await start(parts)
    alice = await signIn()
    bob = await signIn()
    await expectSignedIn(alice.session)
  })

  afterEach(async () => {
    await host?.close()
    if (bob) await expectSignedIn(bob.session)
  })

  test('a front-channel GET with sid alone evicts', async () => {
    const url = logoutUrl(host, { sid: alice.user.sid ?? '' })
    await expectDone(await fetch(url))
    await expectEvicted(alice.session)
    await expectDone(await fetch(url))
  })

  test('a front-channel GET with sid and iss evicts, and another issuer does not', async () => {
    const sid = alice.user.sid ?? ''
    await expectDone(await fetch(logoutUrl(host, { sid, iss: 'https://op.example' })))
    await expectSignedIn(alice.session)
    await expectDone(await fetch(logoutUrl(host, { sid, iss: entra.issuerFor(TENANT_ID) })))
    await expectEvicted(alice.session)
  })

  test('a back-channel POST evicts, once', async () => {
    const token = await logoutToken(alice.user)
    await expectDone(await post({ logout_token: token, unknown: 'ignored' }))
    await expectEvicted(alice.session)

    const again = await signIn(alice.user)
    await expectRefused(await post({ logout_token: token }), 400, 'the logout token was used before')
    await expectSignedIn(again.session)
  })

  test('a bad callback evicts nobody', async () => {
    const token = await logoutToken(alice.user)
    const otherKey = await signingKey(key.kid)
    const forged = await logoutToken(alice.user, otherKey)
    await expectRefused(
      await post({ logout_token: forged }),
      400,
      'the signature of the logout_token does not verify',
    )
    await expectRefused(await post({}), 400, 'logout_token is missing')
    await expectRefused(
      await fetch(logoutUrl(host), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ logout_token: token }),
      }),
      400,
      'the content type is not application/x-www-form-urlencoded',
    )
    const put = await fetch(logoutUrl(host), { method: 'PUT' })
    await expectRefused(put, 405, 'a logout callback is a GET or a POST')
    await expectSignedIn(alice.session)
  })

  async function signIn(user: User = entra.user()): Promise<{ user: User; session: HostSession }> {
    const response = await fetch(callbackUrl(host, entra.code(user)))
    expect(response.status).toBe(200)
    return { user, session: (await response.json()) as HostSession }
  }

  function post(form: Record<string, string>): Promise<Response> {
    return fetch(logoutUrl(host), { method: 'POST', body: new URLSearchParams(form) })
  }

  function logoutToken({ sub, sid, tid }: User, by: SigningKey = key): Promise<string> {
    const iat = Math.floor(Date.now() / 1000)
    return sign(by, {
      iss: entra.issuerFor(tid),
      aud: CLIENT_ID,
      sub,
      sid,
      jti: `logout of ${sid}`,
      iat,
      exp: iat + 120,
      events: { [EVENT]: {} },
    })
  }

  async function expectDone(response: Response): Promise<void> {
    expect(response.status).toBe(200)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(await response.text()).toBe('')
  }

  async function expectRefused(response: Response, status: number, description: string): Promise<void> {
    expect(response.status).toBe(status)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('content-type')).toMatch(/^application\/json(; charset=utf-8)?$/)
    expect(await response.text()).toBe(
      JSON.stringify({ error: 'invalid_request', error_description: description }),
    )
  }

  async function expectSignedIn(session: HostSession): Promise<void> {
    const { fromCache, account } = await msal.acquireTokenSilent(session, { scopes: SCOPES })
    expect(fromCache).toBe(true)
    expect(account?.homeAccountId).toBe(session.homeAccountId)
  }

  async function expectEvicted(session: HostSession): Promise<void> {
    const failure: unknown = await msal
      .acquireTokenSilent(session, { scopes: SCOPES })
      .catch((error) => error)
    expect(failure).toBeInstanceOf(InteractionRequiredAuthError)
    expect(failure).toMatchObject({ errorCode: 'no_tokens_found' })
    expect(await msal.plugin.isSignedIn(session)).toBe(false)
  }
})
