import { ConfidentialClientApplication, type Configuration, version } from '@azure/msal-node'
import Keyv from 'keyv'
import { ConfidentialClients, type HostSession, LogoutHandler } from '../../src/index.ts'
import { claims, post, type SigningKey, sign } from '../logout/provider.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn, type Flavour, SCOPES } from '../support/entra.ts'
import { PERSONAL_TENANT, TENANT_ID } from '../support/services.ts'

/** A way of setting `auth.authority`, as an identity provider's documentation has it. */
export interface AuthorityRow {
  readonly name: string
  readonly flavour: Flavour
  readonly authority: string
  /** Whom the tokens of the application itself are asked for. */
  readonly tenant: string
  /** What a user would list beside the authority's own host. */
  readonly known?: readonly string[]
  /** The user's tenant. */
  readonly utid?: string
}

const entra = (name: string, path: string, row: Partial<AuthorityRow> = {}): AuthorityRow => ({
  name: `Entra ID, ${name}`,
  flavour: 'entra',
  authority: `https://login.microsoftonline.com/${path}`,
  tenant: TENANT_ID,
  ...row,
})
const oidc = (name: string, authority: string, tenant: string): AuthorityRow => ({
  name: `OpenID provider, ${name}`,
  flavour: 'oidc',
  authority,
  tenant,
})

export const AUTHORITIES: readonly AuthorityRow[] = [
  entra('tenant id', TENANT_ID),
  entra('domain name', 'contoso.onmicrosoft.com'),
  entra('`/v2.0`', `${TENANT_ID}/v2.0`),
  entra('`/common`', 'common'),
  entra('`/organizations`', 'organizations'),
  entra('`/consumers`', 'consumers', { utid: PERSONAL_TENANT }),
  entra('US Government', '', { authority: `https://login.microsoftonline.us/${TENANT_ID}` }),
  entra('China', '', { authority: `https://login.partner.microsoftonline.cn/${TENANT_ID}` }),
  entra('another name of its host', '', { authority: `https://login.windows.net/${TENANT_ID}` }),
  {
    name: 'External ID, tenant id',
    flavour: 'ciam',
    authority: `https://contoso.ciamlogin.com/${TENANT_ID}`,
    tenant: TENANT_ID,
  },
  {
    name: 'External ID, subdomain alone',
    flavour: 'ciam',
    authority: 'https://contoso.ciamlogin.com/',
    known: [`${TENANT_ID}.ciamlogin.com`],
    tenant: TENANT_ID,
  },
  {
    name: 'External ID, domain name',
    flavour: 'ciam',
    authority: 'https://contoso.ciamlogin.com/contoso.onmicrosoft.com',
    known: [`${TENANT_ID}.ciamlogin.com`],
    tenant: TENANT_ID,
  },
  {
    name: 'External ID, custom domain',
    flavour: 'ciam',
    authority: `https://login.contoso.example/${TENANT_ID}`,
    tenant: TENANT_ID,
  },
  {
    name: 'Azure AD B2C, user flow',
    flavour: 'b2c',
    authority: 'https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_signin',
    tenant: 'contoso.onmicrosoft.com',
  },
  {
    name: 'Azure AD B2C, custom domain',
    flavour: 'b2c',
    authority: 'https://login.contoso.example/contoso.onmicrosoft.com/B2C_1_signin',
    tenant: 'contoso.onmicrosoft.com',
  },
  { name: 'AD FS', flavour: 'adfs', authority: 'https://fs.contoso.example/adfs', tenant: 'adfs' },
  oidc('at the root', 'https://idp.example', 'default'),
  oidc('one segment', 'https://idp.example/main', 'main'),
  oidc('`/realms/main` (Keycloak)', 'https://idp.example/realms/main', 'main'),
  oidc('`/oauth2/default` (Okta)', 'https://idp.example/oauth2/default', 'default'),
]

/** What each flow does, and how many requests it may cost; `null` where it ends with "sign in again". */
export const EXPECTED = {
  'sign-in': 1,
  'three hits': 0,
  'three hits, by id': 0,
  "three hits, the host's own client": 0,
  'three hits, credential': 0,
  refresh: 1,
  'hit after a refresh': 0,
  'on behalf of': 1,
  'on behalf of, repeated': 0,
  'long-running, begin': 1,
  'long-running, three hits': 0,
  'long-running, refresh': 1,
  'long-running, hit after a refresh': 0,
  'app token': 1,
  'app token, repeated': 0,
  'front-channel callback': 0,
  'back-channel callback': 0,
  eviction: 0,
  'after the eviction': null,
  'sign-out': 0,
}
export type Flow = keyof typeof EXPECTED

const redirectUri = 'https://app.example/callback'
const APP_SCOPES = ['https://graph.microsoft.com/.default']

export function standIn({ flavour, authority }: AuthorityRow): EntraStandIn {
  return new EntraStandIn({ flavour, authority, size: 'small' })
}

export function configurationOf(stand: EntraStandIn, { known = [], authority }: AuthorityRow): Configuration {
  const configuration = stand.configuration()
  // Of MSAL 3 itself: before each silent call it forgets the metadata, and no External ID host matches its own name.
  const missed =
    version.startsWith('3.') && authority.includes('.ciamlogin.com') ? [new URL(authority).host] : []
  const knownAuthorities = [...(configuration.auth.knownAuthorities ?? []), ...known, ...missed]
  return { ...configuration, auth: { ...configuration.auth, knownAuthorities } }
}

/** Runs every flow at one authority, and counts the requests to its token endpoint. */
export async function runFlows(
  row: AuthorityRow,
  key: SigningKey,
): Promise<Record<Flow, number | string | null>> {
  const stand = standIn(row)
  const configuration = configurationOf(stand, row)
  const msal = new ConfidentialClients(configuration, { store: new Keyv() })
  // What is remembered hides what MSAL does.
  const elsewhere = new ConfidentialClients(configuration, { plugin: msal.plugin, rememberedAnswers: false })
  const person = () => stand.user(row.utid === undefined ? {} : { utid: row.utid })
  const requests = () => Object.values(stand.tokenRequests).reduce((sum, each) => sum + each)
  const begin = async (user = person()): Promise<HostSession> => {
    const { url, pending } = await msal.beginSignIn({ scopes: SCOPES, redirectUri })
    return (await msal.completeSignIn(pending, stand.authorize(url, user))).session
  }
  const thrice = async (run: () => Promise<unknown>) => {
    for (let i = 0; i < 3; i++) await run()
  }
  const user = person()
  const issuer = stand.issuerFor(user.tid)
  const logout = new LogoutHandler(msal, { issuer, jwks: { keys: [key.jwk] } })
  const isEnded = async (session: HostSession) => {
    if (await msal.plugin.isSignedIn(session)) throw new Error('still signed in')
  }
  const assertion = stand.assertion(user)
  const app = { tenantId: row.tenant, scopes: APP_SCOPES }
  let session!: HostSession

  const flows: { [Each in Flow]: () => Promise<unknown> } = {
    'sign-in': async () => {
      session = await begin(user)
    },
    'three hits': () => thrice(() => elsewhere.acquireTokenSilent(session, { scopes: SCOPES })),
    'three hits, by id': () =>
      thrice(() => elsewhere.acquireTokenSilent({ homeAccountId: user.homeAccountId }, { scopes: SCOPES })),
    "three hits, the host's own client": () =>
      thrice(async () => {
        const client = new ConfidentialClientApplication({
          ...configuration,
          cache: { cachePlugin: msal.plugin.forAccount(session) },
        })
        const accounts = await client.getTokenCache().getAllAccounts()
        const account = accounts.find(({ tenantId }) => tenantId === (session.tenantId ?? '')) ?? accounts[0]
        if (account === undefined) throw new Error('no account')
        return client.acquireTokenSilent({ account, scopes: SCOPES })
      }),
    'three hits, credential': () => thrice(() => elsewhere.credentialFor(session).getToken(SCOPES)),
    refresh: () => elsewhere.acquireTokenSilent(session, { scopes: SCOPES, forceRefresh: true }),
    'hit after a refresh': () => elsewhere.acquireTokenSilent(session, { scopes: SCOPES }),
    'on behalf of': () => elsewhere.acquireTokenOnBehalfOf({ oboAssertion: assertion, scopes: SCOPES }),
    'on behalf of, repeated': () =>
      elsewhere.acquireTokenOnBehalfOf({ oboAssertion: assertion, scopes: SCOPES }),
    'long-running, begin': () =>
      elsewhere.acquireTokenInLongRunningProcess('job', { oboAssertion: assertion, scopes: SCOPES }),
    'long-running, three hits': () =>
      thrice(() => elsewhere.acquireTokenInLongRunningProcess('job', { scopes: SCOPES })),
    'long-running, refresh': () =>
      elsewhere.acquireTokenInLongRunningProcess('job', { scopes: SCOPES, forceRefresh: true }),
    'long-running, hit after a refresh': () =>
      elsewhere.acquireTokenInLongRunningProcess('job', { scopes: SCOPES }),
    'app token': () => elsewhere.acquireTokenByClientCredential(app),
    'app token, repeated': () => elsewhere.acquireTokenByClientCredential(app),
    'front-channel callback': async () => {
      const query = new URLSearchParams({ iss: issuer, sid: user.sid ?? '' })
      await logout.handle({ method: 'GET', url: `/logout?${query}` })
      await isEnded(session)
    },
    'back-channel callback': async () => {
      const again = await begin(user)
      const now = Math.floor(Date.now() / 1000)
      const times = { iat: now, exp: now + 120 }
      const token = await sign(
        key,
        claims({ iss: issuer, aud: CLIENT_ID, sub: user.sub, sid: user.sid ?? '', jti: row.name, ...times }),
      )
      await logout.handle(post({ logout_token: token }))
      await isEnded(again)
    },
    eviction: async () => {
      session = await begin(user)
      await msal.plugin.evictAccount(user.homeAccountId)
      await isEnded(session)
    },
    'after the eviction': () => elsewhere.acquireTokenSilent(session, { scopes: SCOPES }),
    'sign-out': async () => {
      const again = await begin(user)
      const url = await elsewhere.signOut(again, { postLogoutRedirectUri: 'https://app.example/' })
      await isEnded(again)
      // MSAL keeps the name of a tenant where it has the metadata built in.
      const named = row.authority.replace(/\/(v2\.0)?$/, '')
      const { pathname } = new URL(stand.discovery(named).end_session_endpoint)
      const expected = [pathname, `${new URL(named).pathname}/oauth2/v2.0/logout`]
      if (!expected.some((each) => each.toLowerCase() === url?.pathname))
        throw new Error(`sent to ${url?.href}`)
    },
  }
  /** Sign-ins of their own, which these flows need. */
  const own: Partial<Record<Flow, number>> = { 'back-channel callback': 1, eviction: 1, 'sign-out': 1 }

  const counted: [string, number | string | null][] = []
  for (const [flow, run] of Object.entries(flows)) {
    const before = requests()
    const failure = await run().then(
      () => undefined,
      (error: { name: string; errorCode?: string; message: string }) => error,
    )
    const cost = requests() - before - (own[flow as Flow] ?? 0)
    const isAsked = failure?.name === 'InteractionRequiredAuthError' && cost === 0
    const said = failure && (isAsked ? null : `${failure.name}: ${failure.errorCode ?? failure.message}`)
    counted.push([flow, said === undefined ? cost : said])
  }
  return Object.fromEntries(counted) as Record<Flow, number | string | null>
}

/** Three silent calls of an MSAL client with its own memory: by the account's id alone, and as MSAL describes it. */
export async function runMsalAlone(
  row: AuthorityRow,
): Promise<{ byId: number | string; described: number | string }> {
  const requestsOf = async (call: (stand: EntraStandIn) => Promise<unknown>) => {
    const stand = standIn(row)
    try {
      await call(stand)
      return stand.tokenRequests.refresh_token
    } catch (error) {
      const { errorCode } = error as { errorCode?: string }
      return errorCode ?? String(error)
    }
  }
  const silent = (describe: boolean) => async (stand: EntraStandIn) => {
    const client = new ConfidentialClientApplication(configurationOf(stand, row))
    const user = stand.user(row.utid === undefined ? {} : { utid: row.utid })
    await stand.signIn(client, user)
    for (let i = 0; i < 3; i++) {
      const [account] = await client.getTokenCache().getAllAccounts()
      if (account === undefined) throw new Error('no account')
      if (describe) await client.acquireTokenSilent({ account, scopes: SCOPES })
      else await acquireSilently(client, user.homeAccountId)
    }
  }
  return { byId: await requestsOf(silent(false)), described: await requestsOf(silent(true)) }
}
