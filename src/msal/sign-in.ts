import { ConfigurationError } from '../errors.ts'
import type { AccountSnapshot, PartitionRepository } from '../partitions/repository.ts'
import { mergeCaches, withoutExpired } from './merge.ts'
import { environmentsOf, hasCredentials, parseCache, type SerializedCache } from './schema.ts'

/**
 * Stores what a sign-in acquired for one account, merged onto what the store has of it now. At most two store
 * calls, and one more to replace an unreadable generation record.
 * @throws {StoreUnavailableError}
 * @throws {ConfigurationError} when the account's partition is of another authority
 */
export async function storeSignIn(
  partitions: PartitionRepository,
  homeAccountId: string,
  acquired: SerializedCache,
): Promise<void> {
  const { snapshot, unlock } = await partitions.loadForWrite(homeAccountId)
  try {
    await commitSignIn(partitions, homeAccountId, snapshot, acquired, undefined)
  } finally {
    unlock()
  }
}

/**
 * As {@link storeSignIn}, for an account that is loaded already.
 * @returns the generation that the sign-in joined, or undefined where nothing was to be stored
 */
export async function commitSignIn(
  partitions: PartitionRepository,
  homeAccountId: string,
  snapshot: AccountSnapshot,
  acquired: SerializedCache,
  known: string | undefined,
): Promise<string | undefined> {
  const stored = snapshot.partition && parseCache(snapshot.partition.cache)
  if (stored !== undefined) checkEnvironment(stored, acquired)
  const merged = stored === undefined ? acquired : mergeCaches(stored, acquired)
  const cache = withoutExpired(merged, Date.now())
  if (!hasCredentials(cache)) return undefined
  const generation = partitions.generationFor(snapshot, known)
  if (snapshot.current.kind === 'unreadable') await partitions.renewGeneration(homeAccountId, generation)
  await partitions.commit(homeAccountId, {
    generation,
    cache: JSON.stringify(cache),
    expiresAt: snapshot.expiresAt,
  })
  return generation
}

/** Ids are unique within an authority only: "alice" of two OpenID providers is two people. */
function checkEnvironment(stored: SerializedCache, acquired: SerializedCache): void {
  const known = environmentsOf(stored)
  const shared = [...environmentsOf(acquired)].some((environment) => known.has(environment))
  if (known.size > 0 && !shared) {
    throw new ConfigurationError(
      'this account id is stored for another authority: give each authority a plugin with a namespace of its own',
    )
  }
}
