import { inspect } from 'node:util'
import { version } from '@azure/msal-node'
import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import { type AuthorizationResponseError, ConfidentialClients, type PendingSignIn } from '../../src/index.ts'
import { CLIENT_ID, EntraStandIn, type Flavour, SCOPES } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'
import { observe } from '../support/observed-store.ts'

const request = { scopes: SCOPES, redirectUri: 'https://app.example/callback' }

function host(flavour: Flavour = 'entra', Clients = ConfidentialClients) {
  const entra = new EntraStandIn({ flavour, size: 'small' })
  const store = observe(new Keyv())
  const msal = new Clients(entra.configuration(), { store: store.keyv })
  const begin = async () => {
    const { url, pending } = await msal.beginSignIn(request)
    return { url, pending: JSON.parse(JSON.stringify(pending)) as PendingSignIn }
  }
  return { entra, store, msal, user: entra.user(), begin }
}

/** The library's error for what a visitor did. */
async function refusal(attempt: Promise<unknown>): Promise<string> {
  const error: unknown = await attempt.then(
    () => expect.fail('it was accepted'),
    (reason: unknown) => reason,
  )
  expect(error).toMatchObject({ name: 'AuthorizationResponseError', code: 'ERR_AUTHORIZATION_RESPONSE' })
  return (error as AuthorizationResponseError).error
}

describe(`signing in, with MSAL Node ${version}`, () => {
  test.each(['entra', 'b2c', 'ciam', 'oidc'] as const)(
    '%s: from the first URL to a token',
    async (flavour) => {
      const { entra, msal, user, begin } = host(flavour)
      const { url, pending } = await begin()
      const parameters = Object.fromEntries(new URL(url).searchParams)
      expect(parameters).toMatchObject({
        client_id: CLIENT_ID,
        response_type: 'code',
        response_mode: 'query',
        redirect_uri: request.redirectUri,
        state: pending.state,
        nonce: pending.nonce,
        code_challenge_method: 'S256',
      })
      expect(parameters.scope?.split(' ')).toEqual(
        expect.arrayContaining(['openid', 'offline_access', ...SCOPES]),
      )
      expect(url).not.toContain(pending.codeVerifier)
      expect(JSON.stringify(pending)).not.toContain('not a secret')

      const { session, result } = await msal.completeSignIn(pending, entra.authorize(url, user))
      expect(result.account?.homeAccountId).toBe(user.homeAccountId)
      expect((await msal.acquireTokenSilent(session, { scopes: SCOPES })).fromCache).toBe(true)
    },
  )

  test('what else MSAL’s request takes goes to the provider', async () => {
    const { msal } = host()
    const authority = 'https://login.microsoftonline.com/contoso.onmicrosoft.com'
    const { url, pending } = await msal.beginSignIn({
      ...request,
      authority,
      prompt: 'select_account',
      domainHint: 'contoso.example',
      loginHint: undefined,
      responseMode: 'form_post',
      extraQueryParameters: {
        market: 'de',
        state: 'not this',
        nonce: 'nor this',
        code_challenge: 'nor this',
      },
    })
    const { pathname, searchParams } = new URL(url)
    expect(pathname).toMatch(/^\/contoso\.onmicrosoft\.com\//)
    expect(Object.fromEntries(searchParams)).toMatchObject({
      ...{
        prompt: 'select_account',
        domain_hint: 'contoso.example',
        response_mode: 'form_post',
        market: 'de',
      },
      ...{ state: pending.state, nonce: pending.nonce },
    })
    expect(searchParams.get('code_challenge')).not.toBe('nor this')
  })

  test('the code is redeemed where, and for what, the sign-in began', async () => {
    const { entra, msal, user } = host()
    const authority = 'https://login.microsoftonline.com/contoso.onmicrosoft.com'
    const claims = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
    const { url, pending } = await msal.beginSignIn({
      ...request,
      authority,
      claims,
      scopes: ['api://a/read'],
    })
    const held = entra.hold()
    const redeemed = msal.completeSignIn(pending, entra.authorize(url, user))
    const { parameters, url: endpoint } = await held.arrived
    expect(endpoint.pathname).toMatch(/^\/contoso\.onmicrosoft\.com\//)
    expect(Object.fromEntries(parameters)).toMatchObject({
      redirect_uri: request.redirectUri,
      code_verifier: pending.codeVerifier,
      scope: expect.stringContaining('api://a/read'),
      claims: expect.stringContaining('acrs'),
    })
    held.release()
    await redeemed
  })

  test('an ID token with another nonce, or without one, is refused, and nothing is stored', async () => {
    const { entra, store, msal, user, begin } = host()
    for (const nonce of ['another', '']) {
      const { url, pending } = await begin()
      const altered = new URL(url)
      altered.searchParams.set('nonce', nonce)
      if (nonce === '') altered.searchParams.delete('nonce')
      const attempt = msal.completeSignIn(pending, entra.authorize(altered.href, user))
      expect(await refusal(attempt)).toBe('nonce_mismatch')
    }
    expect(entra.tokenRequests.authorization_code).toBe(2)
    expect(store.calls()).toEqual([])
  })

  test('no ID token at all is no nonce either', async () => {
    const { entra, msal, user, begin } = host()
    entra.answers.authorization_code = { omit: ['id_token'] }
    const { url, pending } = await begin()
    expect(await refusal(msal.completeSignIn(pending, entra.authorize(url, user)))).toBe('nonce_mismatch')
  })
})

describe('a visitor’s mistakes', () => {
  test('no sign-in is pending here: a bookmarked callback, another browser, a session that has expired', async () => {
    const { entra, msal, user, begin } = host()
    const { url } = await begin()
    const response = entra.authorize(url, user)
    for (const pending of [undefined, null]) {
      for (const arrived of [response, {}, undefined, null, new URLSearchParams(response)]) {
        expect(await refusal(msal.completeSignIn(pending, arrived))).toBe('no_pending_sign_in')
      }
    }
    expect(entra.tokenRequests.authorization_code).toBe(0)
  })

  test('another browser’s response, or none, and the code stays unused', async () => {
    const { entra, msal, user, begin } = host()
    const [mine, theirs] = [await begin(), await begin()]
    const response = entra.authorize(theirs.url, user)
    const { state } = mine.pending
    const attempts: [unknown, string][] = [
      [response, 'state_mismatch'],
      [{}, 'state_mismatch'],
      [undefined, 'state_mismatch'],
      [null, 'state_mismatch'],
      ['code=a&state=b', 'state_mismatch'],
      [{ code: response.code }, 'state_mismatch'],
      [{ state }, 'code_missing'],
      [{ state, error: 'access_denied', error_description: 'she said no' }, 'access_denied'],
      [{ state: [state, state], code: response.code }, 'invalid_response'],
    ]
    for (const [arrived, error] of attempts) {
      const attempt = msal.completeSignIn(mine.pending, arrived as typeof response)
      expect(await refusal(attempt)).toBe(error)
    }
    expect(entra.tokenRequests.authorization_code).toBe(0)
    expect((await msal.completeSignIn(theirs.pending, response)).session.homeAccountId).toBe(
      user.homeAccountId,
    )
  })

  test('a code injected into the visitor’s own pending sign-in does not redeem: PKCE', async () => {
    const { entra, store, msal, user, begin } = host()
    const [mine, theirs] = [await begin(), await begin()]
    const injected = { ...entra.authorize(theirs.url, user), state: mine.pending.state }
    await expect(msal.completeSignIn(mine.pending, injected)).rejects.toMatchObject({
      errorCode: 'invalid_grant',
    })
    expect(store.calls()).toEqual([])
  })

  test('a double click: the code redeems once, and the second time it is MSAL’s invalid_grant', async () => {
    const { entra, msal, user, begin } = host()
    const { url, pending } = await begin()
    const response = entra.authorize(url, user)
    const { session } = await msal.completeSignIn(pending, response)
    await expect(msal.completeSignIn(pending, response)).rejects.toMatchObject({
      errorCode: 'invalid_grant',
    })
    expect(await msal.plugin.isSignedIn(session)).toBe(true)
  })
})

test('what the session kept otherwise than it was given is a programming error', async () => {
  const { entra, msal, user, begin } = host()
  const { url, pending } = await begin()
  const response = entra.authorize(url, user)
  const { codeVerifier, ...without } = pending
  for (const kept of [without, JSON.stringify(pending), {}, { request: {} }, 7]) {
    const attempt = msal.completeSignIn(kept as PendingSignIn, response)
    await expect(attempt).rejects.toMatchObject({ code: 'ERR_CONFIGURATION' })
    const error: unknown = await attempt.catch((reason: unknown) => reason)
    for (const secret of [codeVerifier, pending.state, response.code])
      expect(inspect(error)).not.toContain(secret)
  }
  expect(entra.tokenRequests.authorization_code).toBe(0)
})

describe('broken on purpose', () => {
  test('without the verifier no sign-in succeeds', async () => {
    const broken = await mutant('pending sign-in without verifier')
    const { entra, msal, user, begin } = host('entra', broken.ConfidentialClients)
    const { url, pending } = await begin()
    await expect(msal.completeSignIn(pending, entra.authorize(url, user))).rejects.toThrow()
  })

  test('without the nonce the right one is refused (MSAL 6 and later), or a wrong one is accepted', async () => {
    const broken = await mutant('pending sign-in without nonce')
    const { entra, msal, user, begin } = host('entra', broken.ConfidentialClients)
    const [right, wrong] = [await begin(), await begin()]
    const url = new URL(wrong.url)
    url.searchParams.set('nonce', 'another')
    const [accepted, refused] = await Promise.allSettled([
      msal.completeSignIn(right.pending, entra.authorize(right.url, user)),
      msal.completeSignIn(wrong.pending, entra.authorize(url.href, user)),
    ])
    expect([accepted.status, refused.status]).not.toEqual(['fulfilled', 'rejected'])
  })

  test('the state is not compared: another browser’s response is redeemed', async () => {
    const broken = await mutant('state not compared')
    const { entra, msal, user, begin } = host('entra', broken.ConfidentialClients)
    const [mine, theirs] = [await begin(), await begin()]
    const { code } = { ...entra.authorize(mine.url, user) }
    await msal.completeSignIn(mine.pending, { code, state: theirs.pending.state })
  })
})
