import { inspect } from 'node:util'
import { version } from '@azure/msal-node'
import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import {
  AuthenticationRequiredError,
  ConfidentialClients,
  ConfigurationError,
  StoreUnavailableError,
} from '../../src/index.ts'
import { type Answer, EntraStandIn, type Flavour, SCOPES, TENANT_ID } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'
import { observe } from '../support/observed-store.ts'

const CHALLENGE = '{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}'
const GRAPH = 'https://graph.microsoft.com/.default'

async function signedIn(flavour: Flavour = 'entra', Clients = ConfidentialClients) {
  const entra = new EntraStandIn({ flavour, size: 'small' })
  const keyv = new Keyv()
  const store = observe(keyv)
  const msal = new Clients(entra.configuration(), { store: store.keyv })
  const elsewhere = new Clients(entra.configuration(), { store: keyv })
  const user = entra.user()
  const { session, result } = await entra.enter(msal, user)
  store.calls()
  return { entra, store, msal, elsewhere, user, session, result, credential: msal.credentialFor(session) }
}

describe(`a user’s credential, with MSAL Node ${version}`, () => {
  test('gives the stored token and its times, for one store call', async () => {
    const { entra, store, result, credential } = await signedIn()
    const [scope = ''] = SCOPES
    for (const scopes of [scope, SCOPES]) {
      expect(await credential.getToken(scopes)).toEqual({
        token: result.accessToken,
        expiresOnTimestamp: result.expiresOn?.getTime(),
        tokenType: 'Bearer',
      })
      expect(store.calls()).toEqual(['read'])
    }
    expect(entra.tokenRequests.refresh_token).toBe(0)
  })

  test('says when to renew ahead of time, where the provider does', async () => {
    const { entra, credential } = await signedIn()
    entra.answers.refresh_token = { refreshIn: 1800 }
    const token = await credential.getToken('api://a/read')
    const ahead = token.expiresOnTimestamp - (token.refreshAfterTimestamp ?? 0)
    expect(ahead).toBeGreaterThanOrEqual(1_799_000)
    expect(ahead).toBeLessThanOrEqual(1_801_000)
  })

  test('takes a claims challenge to the provider, and keeps the token that answers it', async () => {
    const { entra, elsewhere, session, result, credential } = await signedIn()
    const held = entra.hold()
    const challenged = credential.getToken(SCOPES, { claims: CHALLENGE })
    const { grant, parameters } = await held.arrived
    expect(grant).toBe('refresh_token')
    expect(JSON.parse(parameters.get('claims') ?? '')).toMatchObject(JSON.parse(CHALLENGE) as object)
    held.release()
    const { token } = await challenged
    expect(token).not.toBe(result.accessToken)

    for (const msal of [credential, elsewhere.credentialFor(session)]) {
      expect((await msal.getToken(SCOPES)).token).toBe(token)
    }
    expect(entra.tokenRequests.refresh_token).toBe(1)
  })

  test('asks a guest’s other tenant for its token, and keeps that beside the first', async () => {
    const { entra, elsewhere, session, user, result, credential } = await signedIn()
    const tenantId = 'B0B00000-0000-4000-8000-00000000b0b0'
    const asked: string[] = []
    entra.answers.refresh_token = ({ url }) => {
      const [, tid = ''] = url.pathname.split('/')
      asked.push(tid)
      return { tid }
    }
    const { token } = await credential.getToken(SCOPES, { tenantId })
    expect(asked).toEqual([tenantId.toLowerCase()])
    expect(entra.ownerOf(token)?.homeAccountId).toBe(user.homeAccountId)
    expect(token).not.toBe(result.accessToken)
    for (const here of [credential, elsewhere.credentialFor(session), elsewhere.credentialFor(user)]) {
      expect((await here.getToken(SCOPES, { tenantId })).token).toBe(token)
      expect((await here.getToken(SCOPES)).token).toBe(result.accessToken)
    }
    for (const wrong of ['', '../evil', 'common', 'a/b', 'x?y']) {
      await expect(credential.getToken(SCOPES, { tenantId: wrong })).rejects.toBeInstanceOf(TypeError)
    }
    expect(asked).toHaveLength(1)
  })

  test('ends the wait at once when it is aborted, and what was under way is kept', async () => {
    const { entra, credential } = await signedIn()
    const held = entra.hold()
    const controller = new AbortController()
    const options = { abortSignal: controller.signal }
    const waiting = credential.getToken(['api://a/read'], options)
    await held.arrived
    controller.abort()
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
    await expect(credential.getToken(['api://a/read'], options)).rejects.toMatchObject({ name: 'AbortError' })

    const joined = credential.getToken(['api://a/read'])
    held.release()
    const { token } = await joined
    expect((await credential.getToken('api://a/read')).token).toBe(token)
    expect(entra.tokenRequests.refresh_token).toBe(1)
  })

  test('leaves no listener on a signal', async () => {
    const { credential } = await signedIn()
    const listeners = new Set<unknown>()
    const abortSignal = {
      aborted: false,
      addEventListener: (_: 'abort', listener: unknown) => void listeners.add(listener),
      removeEventListener: (_: 'abort', listener: unknown) => void listeners.delete(listener),
    }
    const waiting = credential.getToken(SCOPES, { abortSignal })
    expect(listeners.size).toBe(1)
    await waiting
    expect(listeners.size).toBe(0)
  })

  test('is of one sign-in: it sees neither a later one, nor what the host makes of its session', async () => {
    const { entra, msal, user, session, credential } = await signedIn()
    await msal.plugin.evictAccount(user.homeAccountId)
    const fresh = await entra.enter(msal, user)
    Object.assign(session, fresh.session)
    await expect(credential.getToken(SCOPES)).rejects.toBeInstanceOf(AuthenticationRequiredError)
    expect((await msal.credentialFor(fresh.session).getToken(SCOPES)).token).toBe(fresh.result.accessToken)
  })
})

describe('who has to sign in again', () => {
  test('is one error, by whatever way, with what the next sign-in has to ask for', async () => {
    type Host = Awaited<ReturnType<typeof signedIn>>
    const refused = (answer: Answer) => (host: Host) => {
      host.entra.answers.refresh_token = answer
    }
    const ways: [(host: Host) => unknown, string][] = [
      [({ msal, user }) => msal.plugin.evictAccount(user.homeAccountId), CHALLENGE],
      [({ elsewhere, user }) => elsewhere.plugin.evictAccount(user.homeAccountId), CHALLENGE],
      [refused({ error: 'invalid_grant' }), CHALLENGE],
      [refused({ error: 'invalid_grant', suberror: 'bad_token' }), CHALLENGE],
      [refused({ error: 'interaction_required', claims: '{"mfa":1}' }), '{"mfa":1}'],
    ]
    for (const [end, claims] of ways) {
      const host = await signedIn()
      await end(host)
      const error: unknown = await host.credential
        .getToken(SCOPES, { claims: CHALLENGE })
        .catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(AuthenticationRequiredError)
      // The name is what @azure/identity compares.
      expect(error).toMatchObject({
        name: 'AuthenticationRequiredError',
        code: 'ERR_AUTHENTICATION_REQUIRED',
        scopes: SCOPES,
        claims,
        cause: { name: expect.stringMatching(/^(InteractionRequiredAuthError|ServerError)$/) },
      })
      const shown = inspect(error, { depth: 9 })
      for (const secret of [host.user.homeAccountId, host.user.uid, ...host.entra.secretsOf()]) {
        expect(shown).not.toContain(secret)
      }
    }
  })

  test('is not meant by a store that fails (P7), nor by a provider that is down or at fault', async () => {
    const { entra, store, credential } = await signedIn()
    store.before('read', () => {
      throw new Error('down')
    })
    await expect(credential.getToken(SCOPES)).rejects.toBeInstanceOf(StoreUnavailableError)
    entra.answers.refresh_token = { error: 'invalid_client' }
    await expect(credential.getToken('api://a/read')).rejects.toMatchObject({ errorCode: 'invalid_client' })
    entra.sendPostRequestAsync = async () => {
      throw new Error('no route to host')
    }
    const error: unknown = await credential.getToken('api://a/read').catch((reason: unknown) => reason)
    expect(error).not.toBeInstanceOf(AuthenticationRequiredError)
  })
})

describe('the application’s credential', () => {
  test('gives the tenant’s token, and a challenge’s answer takes its place', async () => {
    const { entra, msal, elsewhere } = await signedIn()
    const credential = msal.credentialForApp(TENANT_ID)
    const first = await credential.getToken(GRAPH)
    expect(first).toEqual({
      token: expect.any(String),
      expiresOnTimestamp: expect.any(Number),
      tokenType: 'Bearer',
    })
    expect((await credential.getToken([GRAPH])).token).toBe(first.token)
    const held = entra.hold()
    const challenged = credential.getToken(GRAPH, { claims: CHALLENGE })
    const { parameters } = await held.arrived
    expect(parameters.get('claims')).toContain('1700000000')
    held.release()
    const { token } = await challenged
    expect(token).not.toBe(first.token)
    expect((await elsewhere.credentialForApp(TENANT_ID).getToken(GRAPH)).token).toBe(token)
    expect(entra.tokenRequests.client_credentials).toBe(2)
  })

  test('gives another tenant’s token to nobody', async () => {
    const { entra, msal } = await signedIn()
    const credential = msal.credentialForApp(TENANT_ID)
    await expect(credential.getToken(GRAPH, { tenantId: 'contoso' })).rejects.toBeInstanceOf(
      ConfigurationError,
    )
    await expect(credential.getToken(GRAPH, { tenantId: 'contoso' })).rejects.toThrow(/credentialForApp/)
    expect(entra.tokenRequests.client_credentials).toBe(0)
    expect((await credential.getToken(GRAPH, { tenantId: TENANT_ID.toUpperCase() })).token).not.toBe('')
  })
})

test('misuse is named', async () => {
  const { msal, credential } = await signedIn()
  for (const scopes of [undefined, '', [], [''], [7], { a: 1 }]) {
    await expect(credential.getToken(scopes as never)).rejects.toThrow(/^scopes must be/)
  }
  expect(() => msal.credentialFor(undefined as never)).toThrow(/^account must be/)
  for (const tenantId of ['common', '', 7]) {
    expect(() => msal.credentialForApp(tenantId as never)).toThrow(/^tenantId must/)
  }
})

describe('broken on purpose', () => {
  test('a challenge that is not passed on gets the token that was refused', async () => {
    const broken = await mutant('credential drops claims')
    const { result, credential } = await signedIn('entra', broken.ConfidentialClients)
    expect((await credential.getToken(SCOPES, { claims: CHALLENGE })).token).toBe(result.accessToken)
  })
})
