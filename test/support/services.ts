/**
 * How the identity providers that MSAL knows answer: their discovery documents, issuers and tenants, as their
 * documentation has them.
 *
 * - Entra ID: https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc (the document of `common`,
 *   `organizations` and `consumers` has an issuer with a placeholder; personal accounts have a tenant of their own)
 * - its national clouds: https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud
 * - External ID: https://github.com/AzureAD/microsoft-authentication-library-for-js/issues/8592 and pull request 8595
 *   (the issuer's host is the tenant's id, whatever name the authority has, a custom domain's too)
 * - Azure AD B2C: https://learn.microsoft.com/azure/active-directory-b2c/tokens-overview (the issuer has the tenant's id
 *   and ends in a slash; `tfp` is the user flow), https://learn.microsoft.com/azure/active-directory-b2c/custom-domain
 * - AD FS: https://learn.microsoft.com/windows-server/identity/ad-fs/development/ad-fs-logout-openid-connect
 * - Keycloak: https://www.keycloak.org/securing-apps/oidc-layers
 * - Okta: https://developer.okta.com/docs/concepts/auth-servers
 * - any other: OpenID Connect Discovery 1.0, section 4
 */
import { createHash } from 'node:crypto'
import type { Flavour } from './entra.ts'

export const TENANT_ID = '7e4a4700-0000-4000-8000-00000000047e'
/** The tenant of all personal Microsoft accounts. */
export const PERSONAL_TENANT = '9188040d-6c67-4c5b-b112-36a304b66dad'
const DOMAINS: Record<string, string> = { 'contoso.onmicrosoft.com': TENANT_ID, consumers: PERSONAL_TENANT }
const ANY_TENANT = ['common', 'organizations']

/** Of each cloud the host that its documents name, its cache's name, and all names. */
const CLOUDS = [
  {
    preferred_network: 'login.microsoftonline.com',
    preferred_cache: 'login.windows.net',
    aliases: ['login.microsoftonline.com', 'login.windows.net', 'login.microsoft.com', 'sts.windows.net'],
  },
  {
    preferred_network: 'login.partner.microsoftonline.cn',
    preferred_cache: 'login.partner.microsoftonline.cn',
    aliases: ['login.partner.microsoftonline.cn', 'login.chinacloudapi.cn'],
  },
  {
    preferred_network: 'login.microsoftonline.us',
    preferred_cache: 'login.microsoftonline.us',
    aliases: ['login.microsoftonline.us', 'login.usgovcloudapi.net'],
  },
]

/** The `iss` of an ID token that this authority issues for a tenant. */
export function issuerOf(flavour: Flavour, authority: string, tid: string): string {
  const { origin, host, pathname } = new URL(authority)
  if (flavour === 'entra') return `https://${cloudOf(host).preferred_network}/${tid}/v2.0`
  if (flavour === 'ciam') return `https://${tid}.ciamlogin.com/${tid}/v2.0`
  return flavour === 'b2c' ? `${origin}/${tid}/v2.0/` : `${origin}${pathname}`.replace(/\/$/, '')
}

export interface Discovery {
  issuer: string
  authorization_endpoint: string
  token_endpoint: string
  end_session_endpoint: string
  jwks_uri: string
}

/** @param base of the document's URL, without `/v2.0` */
export function discoveryOf(flavour: Flavour, base: string): Discovery {
  const url = new URL(base)
  const [tenant = TENANT_ID] = segmentsOf(url)
  if (flavour === 'entra' || flavour === 'ciam') {
    const id = ANY_TENANT.includes(tenant) ? undefined : idOf(tenant)
    const host = flavour === 'entra' ? cloudOf(url.host).preferred_network : url.host
    const realm = `https://${host}/${id ?? tenant}`
    return {
      issuer: issuerOf(flavour, base, id ?? '{tenantid}'),
      authorization_endpoint: `${realm}/oauth2/v2.0/authorize`,
      token_endpoint: `${realm}/oauth2/v2.0/token`,
      end_session_endpoint: `${realm}/oauth2/v2.0/logout`,
      jwks_uri: `${realm}/discovery/v2.0/keys`,
    }
  }
  const [authorize, token, logout, keys] = ENDPOINTS[styleOf(flavour, base)]
  return {
    issuer: issuerOf(flavour, base, TENANT_ID),
    authorization_endpoint: `${base}${authorize}`,
    token_endpoint: `${base}${token}`,
    end_session_endpoint: `${base}${logout}`,
    jwks_uri: `${base}${keys}`,
  }
}

const ENDPOINTS = {
  b2c: ['/oauth2/v2.0/authorize', '/oauth2/v2.0/token', '/oauth2/v2.0/logout', '/discovery/v2.0/keys'],
  adfs: ['/oauth2/authorize/', '/oauth2/token/', '/oauth2/logout', '/discovery/keys'],
  keycloak: ['auth', 'token', 'logout', 'certs'].map((each) => `/protocol/openid-connect/${each}`),
  okta: ['/v1/authorize', '/v1/token', '/v1/logout', '/v1/keys'],
  other: ['/oauth2/authorize', '/oauth2/token', '/oauth2/logout', '/discovery/v2.0/keys'],
}

function styleOf(flavour: Flavour, base: string): keyof typeof ENDPOINTS {
  if (flavour === 'b2c' || flavour === 'adfs') return flavour
  if (base.includes('/realms/')) return 'keycloak'
  return base.includes('/oauth2/') ? 'okta' : 'other'
}

/** What Entra ID says of the host of another authority: a list of its clouds, or that it does not know it. */
export function instanceDiscovery(url: string): object {
  const asked = new URL(url).searchParams.get('authorization_endpoint') ?? ''
  const { host } = new URL(asked)
  const isKnown = CLOUDS.some(({ aliases }) => aliases.includes(host))
  if (!isKnown)
    return { error: 'invalid_instance', error_description: 'AADSTS50049: Unknown or invalid instance.' }
  return { tenant_discovery_endpoint: `${asked}/v2.0/.well-known/openid-configuration`, metadata: CLOUDS }
}

/** The authority that a token endpoint is of. */
export function baseOf(endpoint: URL): string {
  const { origin, pathname } = endpoint
  const end = Object.values(ENDPOINTS).find(([, token = '']) => pathname.endsWith(token))?.[1] ?? ''
  return `${origin}${pathname.slice(0, pathname.length - end.length)}`
}

/** Where a refresh token is good: in a whole cloud of Entra ID, else with its issuer, in B2C with its user flow. */
export function placeOf(flavour: Flavour, endpoint: URL): string {
  if (flavour === 'ciam') return 'the only tenant'
  return flavour === 'entra' ? cloudOf(endpoint.host).preferred_network : baseOf(endpoint)
}

/** The user flow that a URL of B2C names. */
export function policyOf(url: string): string {
  return /\/(b2c_1[^/]*)/i.exec(url)?.[1]?.toLowerCase() ?? 'b2c_1_signin'
}

/** The id of the tenant that a URL of Entra ID names; undefined where it names none. */
export function tenantAt(url: URL): string | undefined {
  const [tenant = ''] = segmentsOf(url)
  return ANY_TENANT.includes(tenant) ? undefined : idOf(tenant)
}

/** The id of a tenant by its id or a domain name. */
function idOf(tenant: string): string {
  if (/^[0-9a-f]{8}-/.test(tenant)) return tenant
  const hex = createHash('sha256').update(tenant).digest('hex')
  return DOMAINS[tenant] ?? `${hex.slice(0, 8)}-0000-4000-8000-${hex.slice(8, 20)}`
}

function segmentsOf({ pathname }: URL): string[] {
  return pathname.split('/').filter(Boolean)
}

function cloudOf(host: string) {
  const cloud = CLOUDS.find(({ aliases }) => aliases.includes(host))
  if (cloud === undefined) throw new Error(`${host} is no host of Entra ID`)
  return cloud
}
