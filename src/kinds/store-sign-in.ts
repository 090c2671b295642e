import type { AccountSnapshot, Accounts, BegunSession, Partition } from '../accounts/accounts.ts'
import { checkHomeAccountId, type HostSession } from '../accounts/identity.ts'
import { commonIssuer, isSameProvider, type Origin, signedInAt } from '../accounts/origin.ts'
import { report, reportMalformed } from '../diagnostics.ts'
import { ConfigurationError } from '../errors.ts'
import { claimsOf } from '../jwt.ts'
import { type Authority, findable, providerOf, realmNameOf, realmsOf } from '../msal/authority.ts'
import { supersede, usableUntil, withoutExpired } from '../msal/merge.ts'
import {
  environmentsOf,
  isEmpty,
  parseCache,
  providerSessions,
  type SerializedCache,
} from '../msal/schema.ts'

/** What is known of a sign-in beyond its tokens. */
export interface SignInDetails {
  /** `session_state` of the authorization response, for an ID token without `sid`. */
  readonly sessionState?: string | undefined
  /** The generation that the caller knows of, where nothing in the store speaks against it. */
  readonly generation?: string | undefined
  /** That was asked; undefined where that is not known. */
  readonly authority?: Authority | undefined
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
  answer: SerializedCache,
  { sessionState, generation: known, authority }: SignInDetails,
): Promise<BegunSession | undefined> {
  checkStorable(homeAccountId)
  const acquired = findable(answer, undefined)
  const asked = authority?.hosts.some((host) => environmentsOf(acquired).has(host)) ? authority : undefined
  if (asked !== undefined) checkVoucher(acquired, asked)
  const provider = providerOf(acquired, asked)
  if (provider === undefined) throw ofAnotherProvider(homeAccountId)
  const loaded = await withReadableGeneration(accounts, homeAccountId, found)
  const stored = loaded.partition && parseCache(loaded.partition.cache)
  if (loaded.partition && stored === undefined) reportMalformed(accounts.keyOf(homeAccountId))
  const at = loaded.partition && originOfStored(loaded.partition)
  const joins = at !== undefined && isSameProvider(at, provider)
  if (at !== undefined && !joins && !accounts.mayReplace(at)) throw ofAnotherProvider(homeAccountId)
  const now = Date.now()
  const cache = withoutExpired(joins && stored !== undefined ? supersede(stored, acquired) : acquired, now)
  const expiresAt = usableUntil(cache)
  if (expiresAt <= now) return undefined
  const generation = accounts.generationFor(loaded, known)
  const realm = { name: realmNameOf(acquired) ?? '', authority: asked?.url ?? '' }
  const origin = signedInAt(provider, joins ? at.realms : [], realm)
  const update = { generation, cache: JSON.stringify(cache), origin, expiresAt }
  return accounts.commit(homeAccountId, loaded, update, {
    sessions: providerSessions(acquired, sessionState),
  })
}

/** The session for the host to keep. Reports one that no logout callback will ever find. */
export function hostSession(
  accounts: Accounts,
  { homeAccountId, generation, sid, epoch, since, tenantId }: HostSession,
): HostSession {
  const session = { homeAccountId, generation, ...(tenantId === undefined ? {} : { tenantId }) }
  if (sid !== undefined && epoch !== undefined) return { ...session, sid, epoch, since }
  const hint = 'no sid: with Entra ID, add it to the ID token as an optional claim, or pass session_state on'
  report('msal-keyv:sign-in-without-link', { key: accounts.keyOf(homeAccountId), hint })
  return session
}

/** @throws {ConfigurationError} */
export function checkStorable(homeAccountId: string): void {
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

/** Where a partition's tokens come from, by its header, or by what is in it. */
export function originOfStored({ origin, cache }: Partition): Origin | undefined {
  if (origin !== undefined) return origin
  const stored = parseCache(cache)
  const provider = stored === undefined || isEmpty(stored) ? undefined : providerOf(stored)
  return provider && stored && { ...provider, realms: realmsOf(stored) }
}

/** Ids are unique within a provider only: "alice" of two OpenID providers is two people. */
export function ofAnotherProvider(homeAccountId: string): ConfigurationError {
  return new ConfigurationError(
    'this account id is stored for another provider, and nothing was changed: if the provider has moved to another ' +
      'host name, name its old one in movedFrom; if these are two providers, give each a plugin with a namespace of its ' +
      'own. The error has the homeAccountId',
    { homeAccountId },
  )
}

/** @throws {ConfigurationError} when the ID token is not of the authority that answered */
function checkVoucher(acquired: SerializedCache, authority: Authority): void {
  for (const { secret } of Object.values(acquired.IdToken)) {
    const { iss } = claimsOf(secret)
    if (authority.vouchesForItself && commonIssuer(String(iss)) === authority.issuer) continue
    throw new ConfigurationError(
      "the ID token's iss must be the issuer of the authority that was asked, at a host that is its own or one of " +
        'knownAuthorities; nothing was stored',
    )
  }
}
