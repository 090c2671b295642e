import { isTokenCredential, type TokenCredential as SdkTokenCredential } from '@azure/core-auth'
import {
  bearerTokenAuthenticationPolicy,
  createDefaultHttpClient,
  createEmptyPipeline,
  createPipelineRequest,
} from '@azure/core-rest-pipeline'
import { Client } from '@microsoft/microsoft-graph-client'
import { TokenCredentialAuthenticationProvider } from '@microsoft/microsoft-graph-client/authProviders/azureTokenCredentials/index.js'
import Keyv from 'keyv'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AuthenticationRequiredError, ConfidentialClients, type TokenCredential } from '../../src/index.ts'
import { EntraStandIn, SCOPES, TENANT_ID } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'
import { missingProgram } from '../support/programs.ts'
import { type ProtectedApi, startProtectedApi } from '../support/protected-api.ts'

const CHALLENGE = '{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}'

describe.skipIf(missingProgram('openssl'))('clients of others', () => {
  const entra = new EntraStandIn({ size: 'small' })
  const store = new Keyv()
  const msal = new ConfidentialClients(entra.configuration(), { store })
  let api: ProtectedApi
  beforeAll(async () => {
    api = await startProtectedApi((token) => {
      const issued = entra.ownerOf(token)
      return issued && (issued.homeAccountId || 'the application')
    })
  })
  afterAll(() => api.close())

  async function signIn(Clients = ConfidentialClients) {
    const host = new Clients(entra.configuration(), { store })
    const { url, pending } = await host.beginSignIn({
      scopes: SCOPES,
      redirectUri: 'https://app.example/callback',
    })
    const user = entra.user()
    const { session, result } = await host.completeSignIn(pending, entra.authorize(url, user))
    api.tokens()
    return { user, session, result, credential: host.credentialFor(session) }
  }

  /** A client of the Azure SDK, as far as tokens go. */
  function sdkClient(credential: TokenCredential, scopes = SCOPES) {
    const sdkCredential: SdkTokenCredential = credential
    const pipeline = createEmptyPipeline()
    pipeline.addPolicy(bearerTokenAuthenticationPolicy({ credential: sdkCredential, scopes }))
    const http = createDefaultHttpClient()
    return async (abortSignal?: AbortSignal) => {
      const request = createPipelineRequest({
        url: `${api.url}/things`,
        ...(abortSignal === undefined ? {} : { abortSignal }),
      })
      const { status, bodyAsText } = await pipeline.sendRequest(http, request)
      return { status, body: JSON.parse(bodyAsText || 'null') as unknown }
    }
  }

  describe('the Azure SDK', () => {
    test('sends the stored token', async () => {
      const { user, result, credential } = await signIn()
      expect(isTokenCredential(credential)).toBe(true)
      const get = sdkClient(credential)
      expect(await get()).toEqual({ status: 200, body: { id: user.homeAccountId, path: '/things' } })
      expect(api.tokens()).toEqual([result.accessToken])
    })

    test('meets a claims challenge: the request succeeds, and the next one in another process too', async () => {
      const { user, session, result, credential } = await signIn()
      const get = sdkClient(credential)
      await get()
      api.revoke(result.accessToken, CHALLENGE)
      api.tokens()

      const held = entra.hold()
      const challenged = get()
      const { parameters } = await held.arrived
      expect(JSON.parse(parameters.get('claims') ?? '')).toMatchObject(JSON.parse(CHALLENGE) as object)
      held.release()
      expect(await challenged).toMatchObject({ status: 200, body: { id: user.homeAccountId } })
      const [refused, accepted, ...more] = api.tokens()
      expect([refused, more]).toEqual([result.accessToken, []])

      const elsewhere = new ConfidentialClients(entra.configuration(), { store })
      expect(await sdkClient(elsewhere.credentialFor(session))()).toMatchObject({ status: 200 })
      expect(api.tokens()).toEqual([accepted])
    })

    test('is told that the user has to sign in again, before and after a challenge', async () => {
      const { user, result, credential } = await signIn()
      const get = sdkClient(credential)
      await get()
      api.revoke(result.accessToken, CHALLENGE)
      await msal.plugin.evictAccount(user.homeAccountId)
      await expect(get()).rejects.toBeInstanceOf(AuthenticationRequiredError)
      await expect(get()).rejects.toMatchObject({ scopes: SCOPES, code: 'ERR_AUTHENTICATION_REQUIRED' })
    })

    test('can give up waiting', async () => {
      const { credential } = await signIn()
      const held = entra.hold()
      const controller = new AbortController()
      const waiting = sdkClient(credential, ['api://a/read'])(controller.signal)
      await held.arrived
      controller.abort()
      await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
      held.release()
      expect(api.tokens()).toEqual([])
    })

    test('sends the application’s own token', async () => {
      const get = sdkClient(msal.credentialForApp(TENANT_ID), ['https://graph.microsoft.com/.default'])
      api.tokens()
      expect(await get()).toMatchObject({ status: 200, body: { id: 'the application' } })
    })

    test('broken on purpose: a challenge that is not passed on fails the request', async () => {
      const broken = await mutant('credential drops claims')
      const { result, credential } = await signIn(broken.ConfidentialClients)
      api.revoke(result.accessToken, CHALLENGE)
      expect(await sdkClient(credential)()).toMatchObject({ status: 401 })
    })
  })

  describe('the Microsoft Graph client', () => {
    function graphClient(credential: TokenCredential) {
      const authProvider = new TokenCredentialAuthenticationProvider(credential, { scopes: SCOPES })
      const customHosts = new Set(['127.0.0.1'])
      return Client.initWithMiddleware({ authProvider, baseUrl: `${api.url}/`, customHosts })
    }

    test('sends the stored token', async () => {
      const { user, result, credential } = await signIn()
      expect(await graphClient(credential).api('/me').get()).toMatchObject({
        id: user.homeAccountId,
        path: '/v1.0/me',
      })
      expect(api.tokens()).toEqual([result.accessToken])
    })

    test('is told that the user has to sign in again', async () => {
      const { user, credential } = await signIn()
      await msal.plugin.evictAccount(user.homeAccountId)
      // Its GraphError has our error's name as its code.
      await expect(graphClient(credential).api('/me').get()).rejects.toMatchObject({
        code: 'AuthenticationRequiredError',
      })
      expect(api.tokens()).toEqual([])
    })
  })
})
