import type { AccountSnapshot, Accounts, BegunSession } from '../accounts/accounts.ts'
import { checkHomeAccountId, type HostSession } from '../accounts/identity.ts'
import { report, reportMalformed } from '../diagnostics.ts'
import { ConfigurationError } from '../errors.ts'
import { supersede, usableUntil, withoutExpired } from '../msal/merge.ts'
import { environmentsOf, parseCache, providerSessions, type SerializedCache } from '../msal/schema.ts'

/** What is known of a sign-in beyond its tokens. */
export interface SignInDetails {
  /** `session_state` of the authorization response, for an ID token without `sid`. */
  readonly sessionState?: string | undefined
  /** The generation that the caller knows of, where nothing in the store speaks against it. */
  readonly generation?: string | undefined
}

/**
 * Stores what a sign-in acquired for one account, merged onto what the store has of it now, and links the provider's
 * session to it. Two store calls, a third if the account has other links, and more if a generation record is unreadable.
 * @returns what a host session of it begins with, or undefined where nothing was to be stored
 * @throws {StoreUnavailableError}
 * @throws {ConfigurationError} when the account's partition is of another authority, or nobody could evict the id (P14)
 */
export async function storeSignIn(
  accounts: Accounts,
  homeAccountId: string,
  acquired: SerializedCache,
  details: SignInDetails = {},
): Promise<BegunSession | undefined> {
  const sessions = providerSessions(acquired, details.sessionState)
  const linkKeys = accounts.links.keysOf(sessions)
  const sid = sessions
    .map((session) => session.sid ?? session.sessionState)
    .find((each) => each !== undefined)
  const { loaded, unlock } = await accounts.loadForWrite({ homeAccountId, sid }, linkKeys)
  try {
    const again = () => accounts.load({ homeAccountId, sid }, linkKeys)
    const found = await withReadableEpoch(accounts, homeAccountId, sid, loaded, again)
    return await commitSignIn(accounts, homeAccountId, found, acquired, details)
  } finally {
    unlock()
  }
}

/** As {@link storeSignIn}, for an account that is loaded already. */
export async function commitSignIn(
  accounts: Accounts,
  homeAccountId: string,
  found: AccountSnapshot,
  acquired: SerializedCache,
  { sessionState, generation: known }: SignInDetails,
): Promise<BegunSession | undefined> {
  checkStorable(homeAccountId)
  const loaded = await withReadableGeneration(accounts, homeAccountId, found)
  const stored = loaded.partition && parseCache(loaded.partition.cache)
  if (loaded.partition && stored === undefined) reportMalformed(accounts.keyOf(homeAccountId))
  if (stored !== undefined) checkEnvironment(stored, acquired)
  const now = Date.now()
  const cache = withoutExpired(stored === undefined ? acquired : supersede(stored, acquired), now)
  const expiresAt = usableUntil(cache)
  if (expiresAt <= now) return undefined
  const generation = accounts.generationFor(loaded, known)
  const update = { generation, cache: JSON.stringify(cache), expiresAt }
  return accounts.commit(homeAccountId, loaded, update, {
    sessions: providerSessions(acquired, sessionState),
  })
}

/** The session for the host to keep. Reports one that no logout callback will ever find. */
export function hostSession(
  accounts: Accounts,
  { homeAccountId, generation, sid, epoch, since }: HostSession,
): HostSession {
  if (sid !== undefined && epoch !== undefined) return { homeAccountId, generation, sid, epoch, since }
  const hint = 'no sid: with Entra ID, add it to the ID token as an optional claim, or pass session_state on'
  report('msal-keyv:sign-in-without-link', { key: accounts.keyOf(homeAccountId), hint })
  return { homeAccountId, generation }
}

/** @throws {ConfigurationError} */
function checkStorable(homeAccountId: string): void {
  try {
    checkHomeAccountId(homeAccountId)
  } catch (error) {
    const { message } = error as TypeError
    throw new ConfigurationError(
      `the provider's account id cannot be stored, since evictAccount refuses it: ${message}; have the provider issue another sub`,
    )
  }
}

/**
 * A sign-in cannot be valid under a generation record that says nothing. To write over it blindly could undo an eviction
 * that wrote it meanwhile, or end a sign-in that joined that: so it is read again, and if it still says nothing, the
 * account is evicted as by anybody else, and the sign-in joins what is there then (P3).
 */
async function withReadableGeneration(
  accounts: Accounts,
  homeAccountId: string,
  found: AccountSnapshot,
): Promise<AccountSnapshot> {
  if (found.current.kind !== 'unreadable') return found
  const again = () => accounts.load({ homeAccountId }, [...found.stored.keys()])
  const loaded = await again()
  if (loaded.current.kind !== 'unreadable') return loaded
  await accounts.evict([homeAccountId])
  return again()
}

/** As {@link withReadableGeneration}, for the epoch of the session that the sign-in comes through. */
async function withReadableEpoch(
  accounts: Accounts,
  homeAccountId: string,
  sid: string | undefined,
  found: AccountSnapshot,
  again: () => Promise<AccountSnapshot>,
): Promise<AccountSnapshot> {
  if (found.epoch.kind !== 'unreadable') return found
  const loaded = await again()
  if (loaded.epoch.kind !== 'unreadable') return loaded
  await accounts.endSession([homeAccountId], sid ?? '')
  return again()
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
