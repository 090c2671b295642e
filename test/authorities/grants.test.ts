import { version } from '@azure/msal-node'
import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import { ConfidentialClients, ConfigurationError } from '../../src/index.ts'
import { EntraStandIn, SCOPES, TENANT_ID } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'

const redirectUri = 'https://app.example/callback'

function host(stand = new EntraStandIn({ size: 'small' }), Clients = ConfidentialClients) {
  const map = new Map<string, string>()
  const msal = new Clients(stand.configuration(), {
    store: new Keyv({ store: map }),
    rememberedAnswers: false,
  })
  return { stand, map, msal }
}

const oidc = () => new EntraStandIn({ flavour: 'oidc', size: 'small' })

describe('a client knows which grant was asked (E1)', () => {
  /** A client for the application's own tokens redeems a user's code, whose answer says nothing of the user. */
  async function redeemAsApp(Clients = ConfidentialClients) {
    const { stand, map, msal } = host(oidc(), Clients)
    stand.answers.authorization_code = { omit: ['id_token', 'client_info', 'refresh_token', 'scope'] }
    const client = await msal.clientForApp('default')
    const acquire = stand.sendPostRequestAsync.bind(stand)
    stand.sendPostRequestAsync = async (url, options) => {
      const response = await acquire(url, options)
      Object.assign(response.body as object, { scope: 'api/.default' })
      return response as never
    }
    await client
      .acquireTokenByCode({ code: stand.code(stand.user()), redirectUri, scopes: SCOPES })
      .catch(() => {})
    stand.sendPostRequestAsync = acquire
    const request = { tenantId: 'default', scopes: ['api/.default'] }
    const { accessToken } = await msal.acquireTokenByClientCredential(request)
    return { map, owner: stand.ownerOf(accessToken)?.homeAccountId }
  }

  test('and serves no user’s token as the application’s own', async () => {
    expect((await redeemAsApp()).owner).toBe('')
  })

  test('broken on purpose: with any answer taken for its own, it does', async () => {
    const { ConfidentialClients: Broken } = await mutant('app token of any grant')
    expect((await redeemAsApp(Broken)).owner).not.toBe('')
  })

  test('and keeps two people’s tokens out of one long-running process', async () => {
    const { stand, map, msal } = host(oidc())
    const [ada, grace] = [stand.user(), stand.user()]
    await msal.acquireTokenInLongRunningProcess('job', { oboAssertion: stand.assertion(ada), scopes: SCOPES })
    stand.answers.authorization_code = { omit: ['id_token', 'client_info'] }
    const client = stand.client(msal.plugin.forLongRunningProcess('job'))
    const redemption = { code: stand.code(grace), redirectUri, scopes: ['Mail.Read'] }
    await client.acquireTokenByCode(redemption).catch(() => {})
    const record = [...map].find(([key]) => key.endsWith('_l'))?.[1] ?? ''
    const owners = new Set(stand.tokensIn(record).map(({ homeAccountId }) => homeAccountId))
    expect([...owners]).toEqual([ada.homeAccountId])
  })
})

describe('nothing is stored that nobody could evict', () => {
  test('a long-running process of an account whose id evictAccount refuses (E2)', async () => {
    const { stand, map, msal } = host(oidc())
    const oboAssertion = stand.assertion(stand.user({ uid: 'alice ' }))
    await expect(
      msal.acquireTokenInLongRunningProcess('job', { oboAssertion, scopes: SCOPES }),
    ).rejects.toThrow(ConfigurationError)
    await expect(msal.acquireTokenOnBehalfOf({ oboAssertion, scopes: SCOPES })).rejects.toThrow(
      ConfigurationError,
    )
    expect([...map.keys()].filter((key) => /_[lop]$/.test(key))).toEqual([])
  })

  test('a long-running process begun by an application: refused before the provider is asked (E3)', async () => {
    const { stand, msal } = host()
    const oboAssertion = stand.assertion(stand.user(), { idtyp: 'app' })
    await expect(
      msal.acquireTokenInLongRunningProcess('job', { oboAssertion, scopes: SCOPES }),
    ).rejects.toThrow(/^assertion is an application's own token/)
    expect(stand.tokenRequests.on_behalf_of).toBe(0)
  })
})

describe(`nothing is stored before it was checked, with MSAL Node ${version} (E12)`, () => {
  async function withoutIdToken(Clients = ConfidentialClients) {
    const { stand, map, msal } = host(new EntraStandIn({ size: 'small' }), Clients)
    stand.answers.authorization_code = { omit: ['id_token'] }
    const { url, pending } = await msal.beginSignIn({ scopes: SCOPES, redirectUri })
    const error: unknown = await msal
      .completeSignIn(pending, stand.authorize(url, stand.user()))
      .catch((reason: unknown) => reason)
    return { map, error }
  }

  test('an answer without an ID token, whose nonce cannot be checked', async () => {
    const { map, error } = await withoutIdToken()
    expect(error).toMatchObject({ name: 'AuthorizationResponseError', error: 'nonce_mismatch' })
    expect(map.size).toBe(0)
  })

  test('an answer with another nonce', async () => {
    const { stand, map, msal } = host()
    stand.answers.authorization_code = { idToken: { nonce: 'another' } }
    const { url, pending } = await msal.beginSignIn({ scopes: SCOPES, redirectUri })
    const completed = msal.completeSignIn(pending, stand.authorize(url, stand.user()))
    await expect(completed).rejects.toMatchObject({ error: 'nonce_mismatch' })
    expect(map.size).toBe(0)
  })
})

describe('requests that hold more than text (E14)', () => {
  test('clientAssertion may be a function, and two Sets are two questions', async () => {
    const { stand, msal } = host()
    const { url, pending } = await msal.beginSignIn({ scopes: SCOPES, redirectUri })
    const { session } = await msal.completeSignIn(pending, stand.authorize(url, stand.user()))
    const clientAssertion = async () => 'an assertion'
    const request = { scopes: ['Mail.Read'], forceRefresh: true, clientAssertion } as { scopes: string[] }
    expect((await msal.acquireTokenSilent(session, request)).fromCache).toBe(false)
    const app = { tenantId: TENANT_ID, scopes: ['https://graph.microsoft.com/.default'], clientAssertion }
    expect((await msal.acquireTokenByClientCredential(app)).accessToken).not.toBe('')
  })
})

test('a credential never resolves with an empty token (E15)', async () => {
  const { stand, msal } = host(new EntraStandIn({ flavour: 'b2c', size: 'small' }))
  const { url, pending } = await msal.beginSignIn({ scopes: SCOPES, redirectUri })
  stand.answers.authorization_code = { omit: ['access_token'] }
  stand.answers.refresh_token = { omit: ['access_token'] }
  const { session } = await msal.completeSignIn(pending, stand.authorize(url, stand.user()))
  await expect(msal.credentialFor(session).getToken('openid')).rejects.toThrow(ConfigurationError)
})

test.each(['..', '.', '--', '-.-'])('%s is no tenant (E21)', async (tenantId) => {
  const { msal } = host()
  await expect(
    msal.acquireTokenByClientCredential({ tenantId, scopes: ['https://graph.microsoft.com/.default'] }),
  ).rejects.toThrow(TypeError)
})
