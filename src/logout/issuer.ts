import { createLocalJWKSet, createRemoteJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { ConfigurationError } from '../errors.ts'
import { secureUrl } from './url.ts'

const TENANT = '{tenantid}'
const GUID_LENGTH = 36
const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
// `common` and its like, or a domain name, where a token's issuer has the tenant's GUID.
const ENTRA_AUTHORITY =
  /^https:\/\/(?:login\.(?:partner\.)?microsoftonline\.[a-z]+|sts\.windows\.net)\/(?:common|organizations|consumers|[^/]*\.[^/]*)(?:\/|$)/
const DISCOVERY_TIMEOUT = 5000

/**
 * Whether `candidate` is the issuer: the same string, or, under a template, the same with one tenant's GUID (in
 * lower case, as Entra ID writes it) for every `{tenantid}`.
 */
export function matchesIssuer(candidate: string, issuer: string): boolean {
  const start = issuer.indexOf(TENANT)
  if (start < 0) return candidate === issuer
  const tenant = candidate.slice(start, start + GUID_LENGTH)
  return GUID.test(tenant) && candidate === issuer.replaceAll(TENANT, tenant)
}

/** @throws {ConfigurationError} when no ID token can have this issuer */
export function checkIssuer(issuer: unknown): string {
  const text = typeof issuer === 'string' ? issuer : ''
  const url = secureUrl(text.replaceAll(TENANT, 'tenant'))
  if (url === undefined || /[?#{}]/.test(text.replaceAll(TENANT, ''))) {
    throw new ConfigurationError(
      'issuer must be the iss of your ID tokens: an https URL without query, with no placeholder but {tenantid}',
    )
  }
  if (ENTRA_AUTHORITY.test(text)) {
    throw new ConfigurationError(
      'issuer is an Entra ID authority: an ID token has the GUID of the tenant there; for several tenants use ' +
        'https://login.microsoftonline.com/{tenantid}/v2.0',
    )
  }
  return text
}

// Kept for the process, so that a host that passes new options with every request does not fetch keys every time.
const remoteKeys = new Map<string, JWTVerifyGetKey>()
const discoveredKeys = new Map<string, JWTVerifyGetKey>()

/**
 * Finds the key of a token. Remote keys are fetched when the first token needs them and cached for ten minutes; an
 * unknown key id fetches again, at most every 30 seconds.
 * @throws {ConfigurationError} when `jwks` is nothing to find keys in
 */
export function keysOf(
  issuer: string,
  jwks: URL | JSONWebKeySet | JWTVerifyGetKey | undefined,
): JWTVerifyGetKey {
  if (jwks === undefined) return cached(discoveredKeys, issuer, () => discoverKeys(issuer))
  if (typeof jwks === 'function') return jwks
  if (jwks instanceof URL) {
    const url = secureUrl(jwks.href)
    if (url === undefined) throw new ConfigurationError('jwks must be an https URL')
    return cached(remoteKeys, url.href, () => createRemoteJWKSet(url))
  }
  try {
    return createLocalJWKSet(jwks)
  } catch {
    throw new ConfigurationError(
      'jwks must be a URL object, a JSON Web Key Set, or a function that finds a key',
    )
  }
}

function cached<Value>(cache: Map<string, Value>, key: string, make: () => Value): Value {
  const value = cache.get(key) ?? make()
  cache.set(key, value)
  return value
}

/** The discovery document is read once: concurrent tokens share the request, and a failure is not kept. */
function discoverKeys(issuer: string): JWTVerifyGetKey {
  let keys: Promise<JWTVerifyGetKey> | undefined
  return async (header, token) => {
    keys ??= discoverJwksUri(issuer).then(createRemoteJWKSet, (error: unknown) => {
      keys = undefined
      throw error
    })
    const find = await keys
    return find(header, token)
  }
}

/** OpenID Connect Discovery 1.0 §4. Entra ID's document for a template is that of `common`. */
async function discoverJwksUri(issuer: string): Promise<URL> {
  const base = issuer.replaceAll(TENANT, 'common').replace(/\/$/, '')
  const response = await fetch(`${base}/.well-known/openid-configuration`, {
    redirect: 'manual',
    signal: AbortSignal.timeout(DISCOVERY_TIMEOUT),
  })
  if (response.status !== 200) throw new Error(`the discovery document was answered with ${response.status}`)
  const document = (await response.json()) as { issuer?: unknown; jwks_uri?: unknown } | null
  if (document?.issuer !== issuer) throw new Error('the discovery document is of another issuer')
  const url = secureUrl(document.jwks_uri)
  if (url === undefined) throw new Error('the discovery document has no jwks_uri of https')
  return url
}
