import { type INetworkModule, ProtocolMode, version } from '@azure/msal-node'
import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import { ConfidentialClients, ConfigurationError, type HostSession } from '../../src/index.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn, SCOPES, TENANT_ID, type User } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'

const redirectUri = 'https://app.example/callback'

/** A host with clients of several providers over one store, as each is configured by `authority`. */
function host(stand: EntraStandIn, Clients = ConfidentialClients) {
  const map = new Map<string, string>()
  const of = (authority: string, namespace?: string, provider = stand, known: string[] = []) => {
    const knownAuthorities = [new URL(authority).host, ...known]
    const configuration = provider.configuration(undefined, {
      auth: { authority, knownAuthorities } as never,
    })
    return new Clients(configuration, {
      store: new Keyv({ store: map }),
      namespace,
      rememberedAnswers: false,
    })
  }
  const signIn = async (msal: ConfidentialClients, user: User, provider = stand): Promise<HostSession> => {
    const { url, pending } = await msal.beginSignIn({ scopes: SCOPES, redirectUri })
    return (await msal.completeSignIn(pending, provider.authorize(url, user))).session
  }
  return { map, of, signIn }
}

describe('two issuers on one host, one client id (W7)', () => {
  const [A, B] = ['https://idp.example/a', 'https://idp.example/b']

  /** The admin of b creates a user with the victim's `sub`, and signs in. */
  async function attack(Clients = ConfidentialClients) {
    const stand = new EntraStandIn({ flavour: 'oidc', authority: A, size: 'small' })
    const { map, of, signIn } = host(stand, Clients)
    const victim = stand.user({ uid: 'the subject' })
    const attacker = stand.user({ uid: 'the subject' })
    const session = await signIn(of(A), victim)
    const before = [...map]
    const error: unknown = await signIn(of(B), attacker).catch((reason: unknown) => reason)
    return { stand, of, signIn, map, before, session, victim, attacker, error }
  }

  test('the second is refused before anything is stored, with the way out; the first is untouched', async () => {
    const { map, before, error, session, of, stand } = await attack()
    expect(error).toBeInstanceOf(ConfigurationError)
    expect(String(error)).toMatch(/namespace/)
    expect(String(error)).not.toContain('the subject')
    expect([...map]).toEqual(before)
    const { accessToken } = await of(A).acquireTokenSilent(session, { scopes: SCOPES })
    expect(stand.ownerOf(accessToken)?.chain).toBe(1)
  })

  test('broken on purpose: where only hosts are compared, the attacker is let in', async () => {
    const { ConfidentialClients: Broken } = await mutant('issuers not compared')
    expect((await attack(Broken)).error).not.toBeInstanceOf(ConfigurationError)
  })

  test('a load for the other provider shows nothing, and asks nobody', async () => {
    const { of, session, stand } = await attack()
    const { homeAccountId } = session
    const call = of(B).acquireTokenSilent({ homeAccountId }, { scopes: SCOPES })
    await expect(call).rejects.toMatchObject({ name: 'InteractionRequiredAuthError' })
    const named = of(A).acquireTokenSilent(session, { scopes: SCOPES, authority: B })
    await expect(named).rejects.toMatchObject({ name: 'InteractionRequiredAuthError' })
    expect(stand.tokenRequests.refresh_token).toBe(0)
    // MSAL 3 forgets before each silent call which authority it asks.
    if (version.startsWith('3.')) return
    const client = stand.client(of(A).plugin.forAccount({ homeAccountId }), {
      auth: { authority: B } as never,
    })
    await expect(acquireSilently(client, homeAccountId)).rejects.toMatchObject({
      errorCode: 'no_tokens_found',
    })
    expect(stand.tokenRequests.refresh_token).toBe(0)
  })

  test('with a namespace for each, both are signed in', async () => {
    const stand = new EntraStandIn({ flavour: 'oidc', authority: A, size: 'small' })
    const { of, signIn } = host(stand)
    const user = stand.user({ uid: 'the subject' })
    const [a, b] = [of(A, 'a'), of(B, 'b')]
    const [atA, atB] = [await signIn(a, user), await signIn(b, user)]
    const tokens = [
      await a.acquireTokenSilent(atA, { scopes: SCOPES }),
      await b.acquireTokenSilent(atB, { scopes: SCOPES }),
    ]
    expect(tokens.map(({ accessToken }) => stand.ownerOf(accessToken)?.chain)).toEqual([1, 2])
  })
})

describe('a second provider that returns the victim’s client_info and issuer (DESIGN §3)', () => {
  const EVIL = 'https://evil.example'
  const MICROSOFT = `https://login.microsoftonline.com/${TENANT_ID}/v2.0`

  /** @param known beside the provider's own host: with Microsoft's, its ID tokens may be of that issuer */
  async function takeover(known: string[] = [], Clients = ConfidentialClients) {
    const entra = new EntraStandIn({ size: 'small' })
    const evil = new EntraStandIn({ flavour: 'oidc', authority: EVIL, size: 'small' })
    evil.issuers[EVIL] = MICROSOFT
    const { map, of, signIn } = host(entra, Clients)
    const victim = entra.user()
    const { uid, utid, tid, oid } = victim
    evil.answers.authorization_code = {
      clientInfo: { uid, utid },
      idToken: { iss: MICROSOFT, tid, oid },
    }
    const session = await signIn(of(entra.authority), victim)
    const before = [...map]
    const error: unknown = await signIn(of(EVIL, undefined, evil, known), evil.user(), evil).catch(
      (reason: unknown) => reason,
    )
    return { entra, of, map, before, session, error }
  }

  test.each([[[]], [['login.microsoftonline.com']]])(
    'joins no record of the victim, with %j as known',
    async (known) => {
      const { entra, of, map, before, session, error } = await takeover(known)
      expect(error).toBeInstanceOf(ConfigurationError)
      expect([...map]).toEqual(before)
      const { accessToken } = await of(entra.authority).acquireTokenSilent(session, { scopes: SCOPES })
      expect(entra.ownerOf(accessToken)?.chain).toBe(1)
    },
  )

  test('broken on purpose: where only issuers are compared, it does', async () => {
    const { ConfidentialClients: Broken } = await mutant('hosts not compared')
    expect((await takeover(['login.microsoftonline.com'], Broken)).error).not.toBeInstanceOf(
      ConfigurationError,
    )
  })

  /** A sign-in at it, with an ID token of Microsoft's issuer. */
  async function beginOne(claimed: string, Clients = ConfidentialClients) {
    const evil = new EntraStandIn({ flavour: 'oidc', authority: EVIL, size: 'small' })
    const { map, of, signIn } = host(evil, Clients)
    evil.answers.authorization_code = { idToken: { iss: MICROSOFT, tid: TENANT_ID } }
    evil.issuers[EVIL] = claimed
    const error: unknown = await signIn(of(EVIL), evil.user()).catch((reason: unknown) => reason)
    return { map, error }
  }

  test.each([EVIL, MICROSOFT])(
    'and begins none: its ID token is not of its own issuer (%s)',
    async (claimed) => {
      const { map, error } = await beginOne(claimed)
      expect(error).toBeInstanceOf(ConfigurationError)
      expect(String(error)).toMatch(/iss /)
      expect(map.size).toBe(0)
    },
  )

  test('broken on purpose: where the issuer is not looked at, it does', async () => {
    const { ConfidentialClients: Broken } = await mutant('iss of the ID token not checked')
    expect((await beginOne(MICROSOFT, Broken)).map.size).toBeGreaterThan(0)
  })
})

describe('two providers, one redirect URI, one of them hostile (W8)', () => {
  const [HONEST, HOSTILE] = ['https://honest.example', 'https://hostile.example']

  function mixUp(Clients = ConfidentialClients) {
    const stand = new EntraStandIn({ flavour: 'oidc', authority: HOSTILE, size: 'small' })
    const configuration = stand.configuration(undefined, {
      auth: { knownAuthorities: ['honest.example', 'hostile.example'] } as never,
      system: { networkClient: stand as INetworkModule, protocolMode: ProtocolMode.OIDC },
    })
    return { stand, msal: new Clients(configuration, { store: new Keyv() }) }
  }

  test('an authorization response of the honest one is not redeemed in a sign-in at the other (RFC 9207)', async () => {
    const { stand, msal } = mixUp()
    const { url, pending } = await msal.beginSignIn({ scopes: SCOPES, redirectUri, authority: HOSTILE })
    const response = { ...stand.authorize(url, stand.user()), iss: HONEST }
    await expect(msal.completeSignIn(pending, response)).rejects.toMatchObject({
      name: 'AuthorizationResponseError',
      error: 'issuer_mismatch',
    })
    expect(stand.tokenRequests.authorization_code).toBe(0)
  })

  test('broken on purpose: with iss ignored it is redeemed', async () => {
    const { ConfidentialClients: Broken } = await mutant('iss of the response not checked')
    const { stand, msal } = mixUp(Broken)
    const { url, pending } = await msal.beginSignIn({ scopes: SCOPES, redirectUri, authority: HOSTILE })
    await msal.completeSignIn(pending, { ...stand.authorize(url, stand.user()), iss: HONEST })
    expect(stand.tokenRequests.authorization_code).toBe(1)
  })

  test('the right one is', async () => {
    const { stand, msal } = mixUp()
    const { url, pending } = await msal.beginSignIn({ scopes: SCOPES, redirectUri, authority: HONEST })
    const response = { ...stand.authorize(url, stand.user()), iss: HONEST }
    expect((await msal.completeSignIn(pending, response)).session.homeAccountId).toMatch(/^user/)
  })

  test.each([
    ['entra', `https://login.microsoftonline.com/common`],
    ['entra', `https://login.microsoftonline.com/${TENANT_ID}`],
    ['b2c', 'https://contoso.b2clogin.com/contoso.onmicrosoft.com/b2c_1_signin'],
    ['ciam', `https://contoso.ciamlogin.com/${TENANT_ID}`],
  ] as const)('%s %s: the issuer with its tenant is right', async (flavour, authority) => {
    const stand = new EntraStandIn({ flavour, authority, size: 'small' })
    const msal = new ConfidentialClients(stand.configuration(), { store: new Keyv() })
    const user = stand.user()
    const { url, pending } = await msal.beginSignIn({ scopes: SCOPES, redirectUri })
    const response = { ...stand.authorize(url, user), iss: stand.issuerFor(user.tid) }
    expect((await msal.completeSignIn(pending, response)).session.homeAccountId).toBe(user.homeAccountId)
  })
})

describe('External ID as the first guide has it (W9)', () => {
  test.each([`https://contoso.ciamlogin.com/${TENANT_ID}`, `https://login.contoso.example/${TENANT_ID}`])(
    '%s: its document names a host that nobody lists',
    async (authority) => {
      const stand = new EntraStandIn({ flavour: 'ciam', authority, size: 'small' })
      const { host: own } = new URL(authority)
      const known = own.endsWith('.ciamlogin.com') ? [] : [own]
      const auth = { clientId: CLIENT_ID, clientSecret: 'not a secret', authority, knownAuthorities: known }
      const msal = new ConfidentialClients({ auth, system: { networkClient: stand } }, { store: new Keyv() })
      expect(stand.discovery(authority).issuer).toContain(`//${TENANT_ID}.ciamlogin.com/`)
      const { url, pending } = await msal.beginSignIn({ scopes: SCOPES, redirectUri })
      const { session } = await msal.completeSignIn(pending, stand.authorize(url, stand.user()))
      expect((await msal.acquireTokenSilent(session, { scopes: SCOPES })).fromCache).toBe(true)
    },
  )
})
