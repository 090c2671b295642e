import '../node-version.ts'
import { type AccountRef, type HostSession, signInRef } from '../accounts/identity.ts'
import { reportMalformed } from '../diagnostics.ts'
import { parseCache } from '../msal/schema.ts'
import { backingBehind, type PluginLike } from '../plugin.ts'
import { type ImportReport, importInto } from './import.ts'

export type { ImportedAccount, ImportReport, SkippedAccount } from './import.ts'

/**
 * Imports the accounts of a token cache that MSAL serialized: one blob of everybody, a record of MSAL's
 * `DistributedCachePlugin` that holds tokens of others, or the memory of a client. Each entity goes to the account that
 * owns it, and each account is linked as by a sign-in, so that logout callbacks find it.
 *
 * An account is imported only if nothing is stored for it and no eviction of it is known, which is remembered for 90
 * days. So it is safe to repeat an import, to interrupt it, and to run it in several processes at once: nothing newer
 * is replaced, nobody who was evicted comes back, and every process reports the same generation.
 *
 * Tokens of other client ids, tokens of the application itself, tokens that were acquired on behalf of a user, and
 * entities that MSAL could not read are dropped and counted. Expired access tokens, and sections that MSAL Node does
 * not know, are left behind.
 *
 * Two store calls for each account, and one more for each 16. Besides the text itself and what `JSON.parse` makes of
 * it, the memory that it takes is that of 16 accounts.
 * @param plugin a `KeyvCachePlugin`, or the `ConfidentialClients` that have one
 * @param serialized what MSAL's `tokenCache.serialize()` returned
 * @param homeAccountId to import this account only. A record of `DistributedCachePlugin` can hold tokens of somebody who
 *   has signed out since. Only the account of its own key is certainly signed in
 * @throws {TypeError} when it is no token cache, or for a home account id that cannot be one
 * @throws {ConfigurationError} when `plugin` is none
 * @throws {StoreUnavailableError} when the store fails: some of the accounts may be imported. Repeat it
 * @example
 * const { imported, skipped } = await importCache(plugin, await readFile('cache.json', 'utf8'))
 */
export async function importCache(
  plugin: PluginLike | { readonly plugin: PluginLike },
  serialized: string,
  homeAccountId?: string,
): Promise<ImportReport> {
  const { accounts, clientId } = backingBehind(plugin)
  return importInto(accounts, clientId, serialized, homeAccountId)
}

/**
 * One account as MSAL serializes it, for a data-subject request, for debugging, or for going back to another cache:
 * MSAL's `deserialize()` and its `DistributedCachePlugin` can read it. One store call.
 *
 * **It holds secrets**: anyone who has it can act as the user. Tokens that were acquired on behalf of the user are not
 * part of it.
 * @param plugin a `KeyvCachePlugin`, or the `ConfidentialClients` that have one
 * @param account given a {@link HostSession}, only the sign-in that the session began with
 * @returns undefined where `plugin.isSignedIn(account)` is false, or the record cannot be read
 * @throws {TypeError} for a home account id that cannot be one
 * @throws {StoreUnavailableError}
 * @example
 * const serialized = await exportAccount(plugin, session)
 * if (serialized !== undefined) client.getTokenCache().deserialize(serialized)
 */
export async function exportAccount(
  plugin: PluginLike | { readonly plugin: PluginLike },
  account: HostSession | AccountRef,
): Promise<string | undefined> {
  const { accounts } = backingBehind(plugin)
  const of = signInRef(account)
  const cache = (await accounts.load(of)).signedIn?.cache
  if (cache === undefined || parseCache(cache) !== undefined) return cache
  reportMalformed(accounts.keyOf(of.homeAccountId))
  return undefined
}
