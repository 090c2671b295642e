import type { AccountInfo, ConfidentialClientApplication, TokenCacheContext } from '@azure/msal-node'
import { cloudOf, commonIssuer, type Provider, type Realm } from '../accounts/origin.ts'
import { GUID } from '../guards.ts'
import { claimsOf } from '../jwt.ts'
import { checkMethods } from './contract.ts'
import { environmentsOf, type SerializedCache } from './schema.ts'

type Entity = ReturnType<ReturnType<ConfidentialClientApplication['getTokenCache']>['getKVStore']>[string]
/** What MSAL knows of an authority. */
export type AuthorityEntity = Extract<Entity, { aliasesFromNetwork: boolean }>

/** An authority that a client asks, and what its discovery document says of it. */
export interface Authority extends Provider {
  readonly url: string
  /** Whether its issuer is its own to name. */
  readonly vouchesForItself: boolean
}

/** What a kind of client asks of the one configuration that all clients have. */
export interface Authorities {
  readonly configured: string
  /** Whether MSAL would ask it without asking Microsoft about it first. */
  trusts(url: string): boolean
  /** What its discovery document says; the first use of an authority asks for that. */
  describe(url: string): Promise<Authority>
  ofTenant(tenantId: string, base: string): string
}

const KEY_PREFIX = 'authority-metadata'

/**
 * The authorities in a client's memory. Before MSAL has resolved one there is none, and MSAL 3 forgets them before each
 * silent call.
 */
export function authorityEntities(memory: Record<string, Entity>): AuthorityEntity[] {
  return Object.entries(memory).flatMap(([key, entity]) =>
    key.startsWith(KEY_PREFIX) && typeof entity === 'object' && 'aliases' in entity ? [entity] : [],
  )
}

/** The one authority that this client has asked; undefined where that is not known. */
export function authorityIn({ tokenCache }: TokenCacheContext): Authority | undefined {
  const [entity, ...others] = authorityEntities(checkMethods(tokenCache).getKVStore())
  return entity === undefined || others.length > 0 ? undefined : authorityOf(entity)
}

/** @param known the hosts that the host itself has listed */
export function authorityOf(
  { canonical_authority: url, aliases, issuer }: AuthorityEntity,
  known: readonly string[] = [],
): Authority {
  const { host, pathname } = new URL(url)
  const hosts = [...new Set([...(cloudOf(host) ?? [host]), ...aliases])]
  const [tenant = ''] = pathname.split('/').filter(Boolean)
  const at = URL.canParse(issuer) ? new URL(issuer).host : ''
  const vouchesForItself = hosts.includes(at) || known.includes(at) || isExternalId(issuer, host, tenant)
  return { url, hosts, issuer: commonIssuer(issuer), vouchesForItself }
}

const EXTERNAL_ID = new RegExp(`^https://(${GUID})\\.ciamlogin\\.com/\\1(?:/v2\\.0)?/?$`)

/** An external tenant's issuer is at a host of its own, whatever name the authority has. */
function isExternalId(issuer: string, host: string, tenant: string): boolean {
  const [, id] = EXTERNAL_ID.exec(issuer) ?? []
  return id !== undefined && (id === tenant || host.endsWith('.ciamlogin.com'))
}

/** The provider that one account's tokens are of; undefined where they are of several. */
export function providerOf(
  cache: SerializedCache,
  { hosts: aliases = [] }: Partial<Provider> = {},
): Provider | undefined {
  const [environment = '', ...others] = environmentsOf(cache)
  const names = cloudOf(environment) ?? [environment]
  const hosts = aliases.includes(environment) ? [...new Set([...names, ...aliases])] : names
  if (others.some((each) => !hosts.includes(each))) return undefined
  const issuers = new Set(Object.values(cache.IdToken).map(({ secret }) => commonIssuer(issuerOf(secret))))
  // A cloud has one, whether or not an ID token says so.
  if (issuers.size === 0 && cloudOf(environment))
    issuers.add(commonIssuer(`https://${environment}/{tenantid}`))
  const [issuer = '', ...more] = issuers
  return more.length > 0 ? undefined : { hosts, issuer }
}

/** What tells the tenants and user flows of one provider apart, of an answer: see {@link Realm}. */
export function realmNameOf({ IdToken }: SerializedCache): string | undefined {
  const last = Object.values(IdToken).at(-1)
  return last && realmName(claimsOf(last.secret))
}

/** `acr` names the user flow in old B2C tenants; elsewhere it says how somebody signed in, which changes. */
export function realmName(claims: object): string {
  const { tid, tfp, acr } = claims as Record<string, unknown>
  const name = tid ?? tfp ?? (/^b2c_1/i.test(String(acr)) ? acr : undefined)
  return typeof name === 'string' ? name.toLowerCase() : ''
}

/** The realms that a cache has ID tokens of, reached by nobody knows which authority. */
export function realmsOf({ IdToken }: SerializedCache): Realm[] {
  const names = new Set(Object.values(IdToken).map(({ secret }) => realmName(claimsOf(secret))))
  return [...names].map((name) => ({ name, authority: '' }))
}

/** By what MSAL finds the tokens of a realm; undefined where it finds them by the authority. */
export function tenantIdOf({ IdToken }: SerializedCache, name: string): string | undefined {
  const own = Object.values(IdToken).filter(({ secret }) => realmName(claimsOf(secret)) === name)
  return own.at(-1)?.realm || name || undefined
}

/** An account as MSAL itself describes it, of one of its tenants. */
export function describeForMsal(
  homeAccountId: string,
  realm: string | undefined,
  cache: SerializedCache | undefined,
): AccountInfo {
  const known = Object.values(cache?.Account ?? {}).find((each) => each.home_account_id === homeAccountId)
  const tenantId = cache !== undefined && realm !== undefined ? tenantIdOf(cache, realm) : undefined
  const { environment, username, local_account_id: localAccountId, name } = known ?? {}
  return { homeAccountId, environment, tenantId, username, localAccountId, name } as AccountInfo
}

/**
 * With the tokens of an OpenID provider where MSAL looks for them. It stores them under the first segment of the
 * authority's path, and looks under the last: below `/realms/main` it finds none.
 * @param shown whose ID token says what the provider is, where the answer brings none
 */
export function findable(acquired: SerializedCache, shown: SerializedCache | undefined): SerializedCache {
  const idToken = [acquired, shown].flatMap((each) => Object.values(each?.IdToken ?? {})).at(0)
  const claims = claimsOf(idToken?.secret ?? '')
  if (claims.tid || claims.tfp || claims.acr || !URL.canParse(String(claims.iss))) return acquired
  const [first = '', ...others] = new URL(String(claims.iss)).pathname
    .toLowerCase()
    .split('/')
    .filter(Boolean)
  const last = others.at(-1)
  if (last === undefined) return acquired
  const moved = <Token extends { realm: string; client_id: string }>(tokens: Record<string, Token>) =>
    Object.fromEntries(
      Object.entries(tokens).map(([key, token]) => {
        const { client_id: clientId, realm } = token
        if (realm !== first && realm !== '') return [key, token]
        const named = `-${clientId}-${realm}-`.toLowerCase()
        return [key.replace(named, `-${clientId}-${last}-`.toLowerCase()), { ...token, realm: last }]
      }),
    )
  return { ...acquired, IdToken: moved(acquired.IdToken), AccessToken: moved(acquired.AccessToken) }
}

function issuerOf(idToken: string): string {
  const { iss } = claimsOf(idToken)
  return typeof iss === 'string' ? iss : ''
}
