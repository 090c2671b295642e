import type { ConfidentialClientApplication } from '@azure/msal-node'
import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import { ConfidentialClients, type HostSession } from '../../src/index.ts'
import { claimsOf } from '../../src/jwt.ts'
import { EntraStandIn, SCOPES, TENANT_ID, type User } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'

const redirectUri = 'https://app.example/callback'
const postLogoutRedirectUri = 'https://app.example/'
const OTHER_TENANT = '11111111-2222-4333-8444-555555555555'
const MORE = ['Mail.Read']
const at = (tenant: string) => `https://login.microsoftonline.com/${tenant}`

function host(authority = at('common'), Clients = ConfidentialClients, flavour: 'entra' | 'b2c' = 'entra') {
  const stand = new EntraStandIn({ flavour, authority, size: 'small' })
  const asked: string[] = []
  const post = stand.sendPostRequestAsync.bind(stand)
  stand.sendPostRequestAsync = (url, options) => {
    asked.push(url)
    return post(url, options)
  }
  const msal = new Clients(stand.configuration(), { store: new Keyv(), rememberedAnswers: false })
  const signIn = async (user: User, where?: string): Promise<HostSession> => {
    const request = { scopes: SCOPES, redirectUri, ...(where === undefined ? {} : { authority: where }) }
    const { url, pending } = await msal.beginSignIn(request)
    return (await msal.completeSignIn(pending, stand.authorize(url, user))).session
  }
  /** The requests of a call, by the first segment of their paths. */
  const requestsOf = async (call: Promise<unknown>): Promise<string[]> => {
    asked.length = 0
    await call
    return asked.map((url) => new URL(url).pathname.split('/')[1] ?? '')
  }
  return { stand, msal, signIn, requestsOf, user: stand.user() }
}

/** W1: what a user who is a guest elsewhere gets of their own tenant, once that tenant's token has expired. */
async function guestsHomeToken(Clients = ConfidentialClients) {
  const { stand, msal, signIn, user } = host(at('common'), Clients)
  stand.answers.authorization_code = { lifetime: -60 }
  const session = await signIn(user)
  await msal.acquireTokenSilent(session, { scopes: SCOPES, authority: at(OTHER_TENANT) })
  const { accessToken, fromCache } = await msal.acquireTokenSilent(session, { scopes: SCOPES })
  return { tenantId: claimsOf(accessToken).tid, fromCache }
}

describe('a guest elsewhere, signed in at /common (W1)', () => {
  test('gets their own tenant’s token where they name none, though only the guest tenant’s is valid', async () => {
    expect(await guestsHomeToken()).toEqual({ tenantId: TENANT_ID, fromCache: false })
  })

  test('broken on purpose: without the tenant of the sign-in it is the guest tenant’s', async () => {
    const { ConfidentialClients: Broken } = await mutant('tenant of the sign-in forgotten')
    expect((await guestsHomeToken(Broken)).tenantId).toBe(OTHER_TENANT)
  })

  test('hits in both tenants while both tokens are valid', async () => {
    const { msal, signIn, user, requestsOf } = host()
    const session = await signIn(user)
    await msal.acquireTokenSilent(session, { scopes: SCOPES, tenantId: OTHER_TENANT })
    for (const tenantId of [undefined, OTHER_TENANT, undefined, OTHER_TENANT]) {
      const call = msal.acquireTokenSilent(session, { scopes: SCOPES, tenantId })
      expect(await requestsOf(call)).toEqual([])
      const { accessToken } = await call
      expect(claimsOf(accessToken).tid).toBe(tenantId ?? TENANT_ID)
    }
    const own = await msal.credentialFor(session).getToken(SCOPES)
    expect(own.token).toBe((await msal.acquireTokenSilent(session, { scopes: SCOPES })).accessToken)
    const others = await msal.credentialFor(session).getToken(SCOPES, { tenantId: OTHER_TENANT })
    expect(others.token).not.toBe(own.token)
  })

  test('a tenant that is named by its domain name hits too', async () => {
    const { stand, msal, signIn, requestsOf } = host(at(OTHER_TENANT))
    const session = await signIn(stand.user({ tid: OTHER_TENANT }))
    const request = { scopes: SCOPES, tenantId: 'contoso.onmicrosoft.com' }
    expect(await requestsOf(msal.acquireTokenSilent(session, request))).toEqual(['contoso.onmicrosoft.com'])
    for (let i = 0; i < 3; i++)
      expect(await requestsOf(msal.acquireTokenSilent(session, request))).toEqual([])
  })

  test('a client of the host’s own finds the account of the session’s tenant', async () => {
    const { msal, signIn, user } = host()
    const session = await signIn(user)
    await msal.acquireTokenSilent(session, { scopes: SCOPES, tenantId: OTHER_TENANT })
    const guest = await signIn(user, at(OTHER_TENANT))
    for (const each of [session, guest]) {
      const client: ConfidentialClientApplication = await msal.clientFor(each)
      const accounts = await client.getTokenCache().getAllAccounts()
      const account = accounts.find(({ tenantId }) => tenantId === each.tenantId) ?? expect.fail('none')
      const result = await client.acquireTokenSilent({ account, scopes: SCOPES })
      expect(result).toMatchObject({ fromCache: true, tenantId: each.tenantId })
    }
  })
})

describe('a sign-in at another authority than the configured one (W4)', () => {
  /** Where the refresh token of such a sign-in goes, and where its sign-out leads. */
  async function tenantsAsked(Clients = ConfidentialClients) {
    const { msal, signIn, user, requestsOf } = host(at(TENANT_ID), Clients)
    const session = await signIn(user, at(OTHER_TENANT))
    const refresh = await requestsOf(msal.acquireTokenSilent(session, { scopes: MORE }))
    const credential = await requestsOf(msal.credentialFor(session).getToken(['Files.Read']))
    const url = await msal.signOut(session, { postLogoutRedirectUri })
    return [...refresh, ...credential, url?.pathname.split('/')[1]]
  }

  test('is refreshed there, by a credential too, and signed out there', async () => {
    expect(await tenantsAsked()).toEqual([OTHER_TENANT, OTHER_TENANT, OTHER_TENANT])
  })

  test('broken on purpose: without the authority of the sign-in its refresh token goes elsewhere', async () => {
    const { ConfidentialClients: Broken } = await mutant('authority of the sign-in forgotten')
    expect(await tenantsAsked(Broken)).toContain(TENANT_ID)
  })

  test('in B2C another user flow is another sign-in of its own', async () => {
    const flow = (name: string) => `https://contoso.b2clogin.com/contoso.onmicrosoft.com/${name}`
    const { msal, signIn, user, requestsOf } = host(flow('b2c_1_signin'), ConfidentialClients, 'b2c')
    const [session, edit] = [await signIn(user), await signIn(user, flow('b2c_1_edit'))]
    expect([session.tenantId, edit.tenantId]).toEqual(['b2c_1_signin', 'b2c_1_edit'])
    for (const each of [session, edit]) {
      for (let i = 0; i < 3; i++) {
        expect(await requestsOf(msal.acquireTokenSilent(each, { scopes: SCOPES }))).toEqual([])
      }
      const refreshed = await msal.acquireTokenSilent(each, { scopes: SCOPES, forceRefresh: true })
      expect(refreshed.idTokenClaims).toMatchObject({ tfp: each.tenantId })
      const url = await msal.signOut(each, { postLogoutRedirectUri })
      expect(url?.pathname).toContain(`/${each.tenantId}/`)
    }
  })

  test('two sessions of one account in two tenants each keep to their own', async () => {
    const { msal, signIn, user } = host(at('common'))
    const [home, guest] = [await signIn(user), await signIn(user, at(OTHER_TENANT))]
    for (const [session, tenantId] of [
      [home, TENANT_ID],
      [guest, OTHER_TENANT],
    ] as const) {
      const hit = await msal.acquireTokenSilent(session, { scopes: SCOPES })
      expect(hit).toMatchObject({ tenantId, fromCache: true })
      const fresh = await msal.acquireTokenSilent(session, { scopes: MORE })
      expect(fresh).toMatchObject({ tenantId, fromCache: false })
    }
  })

  test('a long-running process goes on where it began', async () => {
    const { stand, msal, user, requestsOf } = host(at(TENANT_ID))
    const oboAssertion = stand.assertion(user)
    const request = { scopes: SCOPES, authority: at(OTHER_TENANT), oboAssertion }
    await msal.acquireTokenInLongRunningProcess('job', request)
    expect(await requestsOf(msal.acquireTokenInLongRunningProcess('job', { scopes: SCOPES }))).toEqual([])
    const refresh = msal.acquireTokenInLongRunningProcess('job', { scopes: MORE })
    expect(await requestsOf(refresh)).toEqual([OTHER_TENANT])
  })

  test('a session that names a tenant where its account has not signed in is signed in nowhere', async () => {
    const { msal, signIn, user, requestsOf } = host()
    const session = await signIn(user)
    const forged = { ...session, tenantId: OTHER_TENANT }
    expect(await msal.plugin.isSignedIn(forged)).toBe(false)
    const call = msal.acquireTokenSilent(forged, { scopes: SCOPES })
    expect(await requestsOf(call.catch(() => {}))).toEqual([])
    await expect(call).rejects.toMatchObject({ name: 'InteractionRequiredAuthError' })
    await expect(
      msal.acquireTokenSilent({ ...session, tenantId: 7 as never }, { scopes: SCOPES }),
    ).rejects.toThrow(TypeError)
  })
})

describe('a call that names another tenant or user flow (W10)', () => {
  test('and is refused there leaves the session’s refresh token where it is', async () => {
    const flow = (name: string) => `https://contoso.b2clogin.com/contoso.onmicrosoft.com/${name}`
    const { stand, msal, signIn, user } = host(flow('b2c_1_signin'), ConfidentialClients, 'b2c')
    const session = await signIn(user)
    const elsewhere = msal.acquireTokenSilent(session, { scopes: MORE, authority: flow('b2c_1_edit') })
    await expect(elsewhere).rejects.toMatchObject({ errorCode: 'invalid_grant' })
    const result = await msal.acquireTokenSilent(session, { scopes: MORE })
    expect(stand.ownerOf(result.accessToken)?.homeAccountId).toBe(user.homeAccountId)
  })

  test('and succeeds leaves the session’s own refresh token in place', async () => {
    const { stand, msal, signIn, user } = host()
    const presented: (string | null)[] = []
    stand.answers.refresh_token = ({ parameters }) => {
      presented.push(parameters.get('refresh_token'))
      return {}
    }
    const session = await signIn(user)
    await msal.acquireTokenSilent(session, { scopes: SCOPES, tenantId: OTHER_TENANT })
    await msal.acquireTokenSilent(session, { scopes: MORE })
    expect(presented[1]).toBe(presented[0])
  })
})
