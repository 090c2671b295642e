import { version as msalVersion, type TokenCache, type TokenCacheContext } from '@azure/msal-node'
import { ConfigurationError } from '../errors.ts'
import { PACKAGE_VERSION } from '../version.ts'
import { emptyCache, isEmpty, parseCache, type SerializedCache } from './schema.ts'

const METHODS = [
  'serialize',
  'deserialize',
  'hasChanged',
  'getKVStore',
  'overwriteCache',
  'removeAccount',
] as const
const PROBE = 'msal-keyv probe'
const PROBE_ENVIRONMENT = 'probe.msal-keyv.invalid'

/** A user that does not exist, as MSAL serializes one. */
const probe = JSON.stringify({
  ...emptyCache(),
  Account: {
    [`${PROBE}-${PROBE_ENVIRONMENT}-probe`]: {
      home_account_id: PROBE,
      environment: PROBE_ENVIRONMENT,
      realm: 'probe',
      local_account_id: PROBE,
      username: PROBE,
      authority_type: 'MSSTS',
    },
  },
  RefreshToken: {
    [`${PROBE}-${PROBE_ENVIRONMENT}-refreshtoken-probe--`]: {
      home_account_id: PROBE,
      environment: PROBE_ENVIRONMENT,
      credential_type: 'RefreshToken',
      client_id: 'probe',
      secret: 'probe',
    },
  },
})

/** The verdict on each implementation of the token cache: one for each MSAL Node that is loaded. */
const verdicts = new WeakMap<object, Promise<void>>()
const kept = new WeakSet<object>()

/** @throws {ConfigurationError} when this is no token cache of MSAL Node */
export function checkMethods(tokenCache: TokenCacheContext['tokenCache']): TokenCache {
  const cache = tokenCache as TokenCache
  const missing = METHODS.find((method) => typeof cache[method] !== 'function')
  if (missing !== undefined) {
    throw new ConfigurationError(
      `the cache plugin works with @azure/msal-node only, and this token cache has no ${missing}: see docs/troubleshooting.md`,
    )
  }
  return cache
}

/**
 * Tries out, at the first use, what the plugin relies on. An MSAL that does otherwise would show what was evicted, or
 * lose what was acquired: then every call throws, so that no user looks signed out. It empties the memory.
 * @param guarded runs what makes MSAL call the plugin again, which then does nothing
 */
export function checkContract(
  cache: TokenCache,
  guarded: <Result>(run: () => Result) => Result,
): Promise<void> | undefined {
  const implementation: object = Object.getPrototypeOf(cache)
  if (kept.has(implementation)) return undefined
  const known = verdicts.get(implementation)
  if (known !== undefined) return known
  // Another call of the same client may clear its memory meanwhile: a failure is tried once more, and is no verdict
  // on the next use.
  const verdict = tryOut(cache, guarded)
    .catch(() => tryOut(cache, guarded))
    .then(() => void kept.add(implementation))
    .finally(() => verdicts.delete(implementation))
  verdicts.set(implementation, verdict)
  return verdict
}

async function tryOut(cache: TokenCache, guarded: <Result>(run: () => Result) => Result): Promise<void> {
  const contents = () => parseCache(cache.serialize()) ?? broken('serialize() returned no token cache')
  const holdsProbe = () => Object.values(contents().RefreshToken).some(({ secret }) => secret === 'probe')

  cache.deserialize('')
  await guarded(() => cache.overwriteCache())
  if (!isEmpty(contents())) broken('overwriteCache() left something in memory')

  cache.deserialize(probe)
  cache.deserialize(markedCache(PROBE))
  cache.deserialize('')
  if (!holdsProbe()) broken('deserialize() did not add to memory, or an empty text removed from it')
  if (!hasMark(contents(), PROBE)) broken('app metadata was not kept')
  if (!Object.values(cache.getKVStore()).some((entity) => typeof entity === 'object' && 'secret' in entity)) {
    broken('getKVStore() did not show what is in memory')
  }
  if (cache.hasChanged()) broken('hasChanged() was true after serialize()')

  const account = { homeAccountId: PROBE, environment: PROBE_ENVIRONMENT, tenantId: 'probe' }
  await guarded(() => cache.removeAccount({ ...account, username: PROBE, localAccountId: PROBE }))
  if (!cache.hasChanged()) broken('hasChanged() was false after removeAccount()')
  if (!isEmpty(contents())) broken('removeAccount() left something in memory')
  if (!hasMark(contents(), PROBE)) broken('removeAccount() removed app metadata')

  cache.deserialize(probe)
  cache.deserialize('')
  const cleared = guarded(() => cache.overwriteCache())
  if (!isEmpty(contents())) broken('overwriteCache() did not clear memory at once')
  await cleared
  if (!isEmpty(contents()) || hasMark(contents(), PROBE)) broken('overwriteCache() brought something back')
}

function broken(what: string): never {
  throw new ConfigurationError(
    `@azure/msal-node does not do what msal-keyv ${PACKAGE_VERSION} relies on: ${what}. msal-keyv sees ` +
      `@azure/msal-node ${msalVersion}; see the peer dependency for the versions that work, and update msal-keyv`,
  )
}

const MARK_PREFIX = 'appmetadata-msal-keyv-'

/**
 * A cache that adds nothing but a mark to MSAL's memory, by which it can be seen later whether memory was cleared:
 * app metadata is serialized, is kept by `removeAccount`, and is cleared with all the rest.
 */
export function markedCache(mark: string): string {
  const entity = { client_id: 'msal-keyv', environment: `${mark}.msal-keyv.invalid` }
  return JSON.stringify({ ...emptyCache(), AppMetadata: { [`${MARK_PREFIX}${mark}`]: entity } })
}

export function hasMark(cache: SerializedCache, mark: string): boolean {
  return Object.hasOwn(cache.AppMetadata, `${MARK_PREFIX}${mark}`)
}

export function withoutMarks(cache: SerializedCache): SerializedCache {
  const kept = Object.entries(cache.AppMetadata).filter(([key]) => !key.startsWith(MARK_PREFIX))
  return { ...cache, AppMetadata: Object.fromEntries(kept) }
}
