import { reportMalformed } from '../diagnostics.ts'
import { ConfigurationError } from '../errors.ts'
import type { LinkedPartitions, LinkedSnapshot } from '../sessions/linked-partitions.ts'
import { supersede, usableUntil, withoutExpired } from './merge.ts'
import { providerSessions } from './provider-sessions.ts'
import { environmentsOf, parseCache, type SerializedCache } from './schema.ts'

/** What is known of a sign-in beyond its tokens. */
export interface SignInDetails {
  /** `session_state` of the authorization response, for an ID token without `sid`. */
  readonly sessionState?: string | undefined
  /** The generation that the caller knows of, where nothing in the store speaks against it. */
  readonly generation?: string | undefined
}

/**
 * Stores what a sign-in acquired for one account, merged onto what the store has of it now, and links the provider's
 * session to it. At most two store calls, and one more to replace an unreadable generation record.
 * @returns the generation that the sign-in joined, or undefined where nothing was to be stored
 * @throws {StoreUnavailableError}
 * @throws {ConfigurationError} when the account's partition is of another authority
 */
export async function storeSignIn(
  partitions: LinkedPartitions,
  homeAccountId: string,
  acquired: SerializedCache,
  details: SignInDetails = {},
): Promise<string | undefined> {
  const sessions = providerSessions(acquired, details.sessionState)
  const linkKeys = [...partitions.links.keysOf(sessions).keys()]
  const { snapshot, unlock } = await partitions.loadLinked(homeAccountId, linkKeys)
  try {
    return await commitSignIn(partitions, homeAccountId, snapshot, acquired, details)
  } finally {
    unlock()
  }
}

/** As {@link storeSignIn}, for an account that is loaded already. */
export async function commitSignIn(
  partitions: LinkedPartitions,
  homeAccountId: string,
  snapshot: LinkedSnapshot,
  acquired: SerializedCache,
  { sessionState, generation: known }: SignInDetails,
): Promise<string | undefined> {
  const stored = snapshot.partition && parseCache(snapshot.partition.cache)
  if (snapshot.partition && stored === undefined) reportMalformed(partitions.keyOf(homeAccountId))
  if (stored !== undefined) checkEnvironment(stored, acquired)
  const now = Date.now()
  const cache = withoutExpired(stored === undefined ? acquired : supersede(stored, acquired), now)
  const expiresAt = usableUntil(cache)
  if (expiresAt <= now) return undefined
  const generation = partitions.generationFor(snapshot, known)
  if (snapshot.current.kind === 'unreadable') await partitions.renewGeneration(homeAccountId, generation)
  const sessions = providerSessions(acquired, sessionState)
  await partitions.commitLinked(
    homeAccountId,
    snapshot,
    { generation, cache: JSON.stringify(cache), expiresAt },
    sessions,
  )
  return generation
}

/** Ids are unique within an authority only: "alice" of two OpenID providers is two people. */
function checkEnvironment(stored: SerializedCache, acquired: SerializedCache): void {
  const known = environmentsOf(stored)
  const shared = [...environmentsOf(acquired)].some((environment) => known.has(environment))
  if (known.size > 0 && !shared) {
    throw new ConfigurationError(
      'this account id is stored for another authority: give each authority a plugin with a namespace of its own, or, ' +
        'if the authority has got another host name, evict the account and sign in again',
    )
  }
}
