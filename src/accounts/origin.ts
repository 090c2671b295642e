import { GUID } from '../guards.ts'

/** Who vouches for an account. Two providers may each have an "alice", and may both be at one host. */
export interface Provider {
  /** All names of its host. */
  readonly hosts: readonly string[]
  /** Of its ID tokens, the same for all tenants of it; empty where nothing says. */
  readonly issuer: string
}

/** Where an account has signed in. */
export interface Origin extends Provider {
  /** At most 32, the last sign-in's last. */
  readonly realms: readonly Realm[]
}

/** A tenant or user flow, as MSAL tells their tokens apart, and the authority that it was reached by. */
export interface Realm {
  /** `tid`, or `tfp`, in lower case; empty for a provider without either. */
  readonly name: string
  /** Empty where it is not known: then it is the configured one. */
  readonly authority: string
}

/** The hosts of Entra ID's clouds. It is MSAL's own table, which MSAL exports nowhere. */
const CLOUDS: readonly (readonly string[])[] = [
  ['login.microsoftonline.com', 'login.windows.net', 'login.microsoft.com', 'sts.windows.net'],
  ['login.microsoftonline.us', 'login.usgovcloudapi.net'],
  ['login.partner.microsoftonline.cn', 'login.chinacloudapi.cn'],
  ['login.sovcloud-identity.fr'],
  ['login.sovcloud-identity.de'],
  ['login.sovcloud-identity.sg'],
]
const OF_A_TENANT = new RegExp(`^/(?:${GUID}|%7btenantid%7d)(?:/v2\\.0)?$`)
const OF_A_USER_FLOW = new RegExp(`^/tfp/(${GUID})/b2c_1[^/]*/v2\\.0$`, 'i')
const MOST_REALMS = 32

/** All names of Entra ID's cloud that a host is of; undefined for a host of nobody's. */
export function cloudOf(host: string): readonly string[] | undefined {
  return CLOUDS.find((names) => names.includes(host))
}

/** What is the same in all issuers of one provider: of a cloud's tenants, and of a B2C tenant's user flows. */
export function commonIssuer(issuer: string): string {
  if (!URL.canParse(issuer)) return issuer
  const { origin, host, pathname, search } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  const cloud = cloudOf(host)
  if (cloud !== undefined && OF_A_TENANT.test(path.toLowerCase())) return `https://${cloud[0]}/{tenantid}`
  return `${origin}${path.replace(OF_A_USER_FLOW, '/$1/v2.0')}${search}`
}

/** Tenants of one cloud are one provider: a guest is the same person in all of them. */
export function isSameProvider(one: Provider, other: Provider): boolean {
  return isSameHost(one, other) && isSameIssuer(one, other)
}

export function isSameHost(one: Provider, other: Provider): boolean {
  return one.hosts.some((host) => other.hosts.includes(host))
}

function isSameIssuer(one: Provider, other: Provider): boolean {
  return one.issuer !== '' && one.issuer === other.issuer
}

/** After a sign-in there: it stands last. */
export function signedInAt({ hosts, issuer }: Provider, known: readonly Realm[], realm: Realm): Origin {
  const others = known.filter(({ name }) => name !== realm.name)
  return { hosts, issuer, realms: [...others, realm].slice(-MOST_REALMS) }
}

/** After a token of another tenant: it stands first, and pushes nothing out. */
export function usedAt(origin: Origin, realm: Realm): Origin {
  const isKnown = origin.realms.some(
    ({ name, authority }) => name === realm.name && authority === realm.authority,
  )
  if (isKnown || origin.realms.length >= MOST_REALMS) return origin
  return { ...origin, realms: [realm, ...origin.realms] }
}

/** An origin as a record's header has it. */
export type EncodedOrigin = [issuer: string, hosts: string[], realms: [string, string][]]

export function encodeOrigin({ issuer, hosts, realms }: Origin): EncodedOrigin {
  return [issuer, [...hosts], realms.map(({ name, authority }) => [name, authority])]
}

/** Undefined for what is none. */
export function decodeOrigin(value: unknown): Origin | undefined {
  if (!Array.isArray(value)) return undefined
  const [issuer, hosts, realms] = value as unknown[]
  if (typeof issuer !== 'string' || !isTexts(hosts) || !Array.isArray(realms)) return undefined
  if (!realms.every((realm) => isTexts(realm) && realm.length === 2)) return undefined
  const decoded = (realms as [string, string][]).map(([name, authority]) => ({ name, authority }))
  return { issuer, hosts, realms: decoded }
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string')
}
