import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose'
import { ConfigurationError } from '../errors.ts'
import { isObject } from '../guards.ts'
import { TENANT } from './issuer.ts'
import { secureUrl } from './url.ts'

const DISCOVERY_TIMEOUT = 5000
/** How long a fetch is not repeated, in milliseconds: anybody can send tokens that need a key. */
const COOLDOWN = 5000

/** Keys as the provider publishes them: a JSON Web Key Set (RFC 7517 §5). */
interface KeySet {
  keys: readonly object[]
}

/**
 * Finds the key that verifies a token, by the token's protected header: `createRemoteJWKSet` of `jose` makes one.
 * @returns a key as Web Crypto, Node or RFC 7517 has it
 */
type KeyFinder = (
  header: { alg: string; kid?: string },
  token: { payload: string; protected?: string; signature: string },
) => Promise<object> | object

// Kept for the process, so that a host that passes new options with every request does not fetch keys every time.
const remoteKeys = new Map<string, JWTVerifyGetKey>()
const discoveredKeys = new Map<string, JWTVerifyGetKey>()

/**
 * Finds the key of a token. Remote keys are fetched when the first token needs them and cached for ten minutes. An
 * unknown key id fetches them again, at most every five seconds; after a failure, nothing is fetched for five seconds.
 * Where the issuer's keys do not verify a token or cannot be fetched, the discovery document is read again as often.
 * @throws {ConfigurationError} when `jwks` cannot hold keys
 */
export function keysOf(issuer: string, jwks: URL | KeySet | KeyFinder | undefined): JWTVerifyGetKey {
  if (jwks === undefined) return cached(discoveredKeys, issuer, () => keysOfDiscovered(issuer))
  if (typeof jwks === 'function') return jwks as JWTVerifyGetKey
  if (jwks instanceof URL) {
    const url = secureUrl(jwks.href)
    if (url === undefined) throw new ConfigurationError('jwks must be an https URL')
    return cached(remoteKeys, url.href, () => foundBy(() => keysAt(url)))
  }
  if (!isKeySet(jwks)) {
    throw new ConfigurationError(
      'jwks must be a URL object, a JSON Web Key Set, or a function that finds a key',
    )
  }
  const keys = structuredClone(jwks)
  return foundBy(async () => (await import('jose/jwks/local')).createLocalJWKSet(keys))
}

function isKeySet(value: unknown): value is JSONWebKeySet {
  return isObject(value) && Array.isArray(value.keys) && value.keys.every(isObject)
}

/** Made when the first token needs a key, and again where that failed. */
function foundBy(make: () => Promise<JWTVerifyGetKey>): JWTVerifyGetKey {
  let made: Promise<JWTVerifyGetKey> | undefined
  return async (header, token) => {
    made ??= make().catch((error: unknown) => {
      made = undefined
      throw error
    })
    const find = await made
    return find(header, token)
  }
}

function cached<Value>(cache: Map<string, Value>, key: string, make: () => Value): Value {
  const value = cache.get(key) ?? make()
  cache.set(key, value)
  return value
}

/** The keys at the `jwks_uri` of a discovery document. */
interface Discovered {
  readonly href: string
  readonly find: JWTVerifyGetKey
}

/** Concurrent tokens share a request for the discovery document. It is read again when its keys fail: they may have moved. */
function keysOfDiscovered(issuer: string): JWTVerifyGetKey {
  const discover = withCooldown(() => discoverJwksUri(issuer))
  let known: Discovered | undefined
  let reading: Promise<Discovered> | undefined
  let readAt = Number.NEGATIVE_INFINITY
  const read = async (): Promise<Discovered> => {
    readAt = performance.now()
    const url = await discover()
    if (known?.href !== url.href) known = { href: url.href, find: await keysAt(url) }
    return known
  }
  const readOnce = () => {
    reading ??= read().finally(() => {
      reading = undefined
    })
    return reading
  }
  return async (header, token) => {
    const before = known ?? (await readOnce())
    try {
      return await before.find(header, token)
    } catch (error) {
      const isDue = reading !== undefined || performance.now() - readAt >= COOLDOWN
      const after = isDue ? await readOnce().catch(() => undefined) : known
      if (after === undefined || after.href === before.href) throw error
      return after.find(header, token)
    }
  }
}

/** jose's cooldown counts from the last success, so that without this it would repeat a failed fetch for each token. */
async function keysAt(url: URL): Promise<JWTVerifyGetKey> {
  const { createRemoteJWKSet, customFetch } = await import('jose/jwks/remote')
  const fetchKeys = withCooldown(async (href: string, init: RequestInit) => {
    const document = await fetchJson('the key set', href, init)
    if (!isKeySet(document)) throw new Error('the key set is none')
    return document
  })
  return createRemoteJWKSet(url, {
    cooldownDuration: COOLDOWN,
    [customFetch]: async (href: string, init: RequestInit) => Response.json(await fetchKeys(href, init)),
  })
}

/** `attempt`, which after a failure is not made for a while: meanwhile the failure is the outcome of every call. */
function withCooldown<Parameters extends unknown[], Result>(
  attempt: (...parameters: Parameters) => Promise<Result>,
): (...parameters: Parameters) => Promise<Result> {
  let failure: { readonly error: unknown; readonly at: number } | undefined
  return async (...parameters) => {
    if (failure !== undefined && performance.now() - failure.at < COOLDOWN) throw failure.error
    try {
      return await attempt(...parameters)
    } catch (error) {
      failure = { error, at: performance.now() }
      throw error
    }
  }
}

/** OpenID Connect Discovery 1.0 §4. Entra ID's document for a template is that of `common`. */
async function discoverJwksUri(issuer: string): Promise<URL> {
  const base = issuer.replaceAll(TENANT, 'common').replace(/\/$/, '')
  const document = (await fetchJson('the discovery document', `${base}/.well-known/openid-configuration`, {
    redirect: 'manual',
    signal: AbortSignal.timeout(DISCOVERY_TIMEOUT),
  })) as { issuer?: unknown; jwks_uri?: unknown } | null
  if (document?.issuer !== issuer) throw new Error('the discovery document is of another issuer')
  const url = secureUrl(document.jwks_uri)
  if (url === undefined) throw new Error('the discovery document has no jwks_uri of https')
  return url
}

async function fetchJson(name: string, url: string, init: RequestInit): Promise<unknown> {
  const response = await fetch(url, init)
  if (response.status !== 200) throw new Error(`${name} was answered with ${response.status}`)
  return response.json()
}
