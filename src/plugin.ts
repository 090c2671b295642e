import type { AuthenticationResult, ICachePlugin, TokenCacheContext } from '@azure/msal-node'
import { Accounts, type Eviction } from './accounts/accounts.ts'
import { GENERATION_LIFETIME } from './accounts/generation.ts'
import {
  type AccountRef,
  checkDirectoryId,
  checkHomeAccountId,
  type HostSession,
  sessionRef,
  signInRef,
} from './accounts/identity.ts'
import type { SessionInfo } from './accounts/sessions.ts'
import { TokenRecords } from './accounts/token-records.ts'
import { SharedKnowledge } from './copies.ts'
import { ConfigurationError } from './errors.ts'
import { AccountPlugin, signedInCache } from './kinds/account.ts'
import { AppPlugin } from './kinds/app.ts'
import type { Backing } from './kinds/cache-plugin.ts'
import { LongRunningPlugin } from './kinds/long-running.ts'
import { OnBehalfOfPlugin } from './kinds/on-behalf-of.ts'
import { SignInPlugin } from './kinds/sign-in.ts'
import { hostSession } from './kinds/store-sign-in.ts'
import { realmName } from './msal/authority.ts'
import { sessionIdOf } from './msal/schema.ts'
import { type KeyvCachePluginOptions, resolveOptions } from './options.ts'
import { KeyNames } from './records/key-names.ts'
import { Records } from './records/records.ts'
import { Sealing } from './records/sealing.ts'
import { checkStore, type StoreCheck } from './store/check.ts'
import { KeyvStore } from './store/keyv-store.ts'
import { PACKAGE_VERSION } from './version.ts'

/** A copy of this package uses all that is behind another's plugin, so both must be of one version. */
const backings = new SharedKnowledge<Backing>('plugin', PACKAGE_VERSION)

/** A {@link KeyvCachePlugin}, also one of another copy of this package in the process. */
export type PluginLike = Pick<KeyvCachePlugin, keyof KeyvCachePlugin>

/** @throws {ConfigurationError} when it is no plugin, or of another version of this package */
export function backingOf(plugin: PluginLike): Backing {
  const backing = backings.get(plugin)
  if (backing === undefined) throw new ConfigurationError('plugin must be a KeyvCachePlugin')
  return backing
}

/** As {@link backingOf}, also of the plugin that `ConfidentialClients` have. */
export function backingBehind(holder: PluginLike | { readonly plugin: PluginLike }): Backing {
  const { plugin = holder } = (holder ?? {}) as { plugin?: unknown }
  const backing = backings.get(plugin)
  if (backing === undefined) {
    throw new ConfigurationError('plugin must be a KeyvCachePlugin or a ConfidentialClients')
  }
  return backing
}

/**
 * MSAL Node's token cache in a Keyv store, one partition per account. Make one for an application and keep it.
 *
 * The instance itself is the `cachePlugin` of clients that sign users in: it loads nothing, and stores what they
 * acquire under the account that owns it. To use a stored account, make a client for the request with
 * {@link forAccount}.
 *
 * @example
 * const plugin = new KeyvCachePlugin({ store: new Keyv(new KeyvRedis(process.env.REDIS_URL)), clientId })
 *
 * // sign in
 * const client = new ConfidentialClientApplication({ auth, cache: { cachePlugin: plugin } })
 * const session = await plugin.openSession(await client.acquireTokenByCode(request))
 *
 * // any later request, with the session that the host has kept
 * const cachePlugin = plugin.forAccount(session)
 * const bound = new ConfidentialClientApplication({ auth, cache: { cachePlugin } })
 * const accounts = await bound.getTokenCache().getAllAccounts()
 * const account = accounts.find(({ tenantId }) => tenantId === session.tenantId) ?? accounts[0]
 * if (account !== undefined) await bound.acquireTokenSilent({ account, scopes })
 */
export class KeyvCachePlugin implements ICachePlugin {
  readonly #backing: Backing
  readonly #signIn: SignInPlugin
  readonly #check: () => Promise<StoreCheck>

  /** @throws {ConfigurationError} naming the option */
  constructor(options: KeyvCachePluginOptions) {
    const settings = resolveOptions(options)
    const { clientId, onCommitFailure, ttl } = settings
    const store = new KeyvStore(settings.store, settings.storeTimeout)
    const records = new Records(store, new Sealing(settings))
    const names = new KeyNames(settings)
    const accounts = new Accounts(records, names, ttl, settings.movedFrom)
    const tokens = new TokenRecords(records, accounts.links, ttl)
    this.#backing = { clientId, onCommitFailure, names, accounts, tokens }
    backings.set(this, this.#backing)
    this.#signIn = new SignInPlugin(this.#backing)
    this.#check = () => checkStore(store, settings.store, GENERATION_LIFETIME)
  }

  /**
   * The `cachePlugin` of a client that is made for this request and this account. Given a {@link HostSession}, it
   * shows only the sign-in that the session began with; else the one it finds first.
   * @throws {TypeError} for a home account id that cannot be one
   * @example
   * const cachePlugin = plugin.forAccount(session)
   * const client = new ConfidentialClientApplication({ auth, cache: { cachePlugin } })
   * const [account] = await client.getTokenCache().getAllAccounts()
   */
  forAccount(account: HostSession | AccountRef): ICachePlugin {
    return new AccountPlugin(this.#backing, account)
  }

  /**
   * The `cachePlugin` of a client for the application's own tokens of one tenant (`acquireTokenByClientCredential`).
   * A hit is one store call; the tokens live as long as the last of them, at most `ttl`. No eviction concerns them.
   *
   * MSAL's authority decides whose token it is: it must name this tenant in the same way. A token of another tenant
   * is a {@link ConfigurationError}, and is not stored.
   * @param tenantId the tenant's id or domain name, in any case
   * @throws {TypeError} for a tenant id that cannot be one, or is `common`, `organizations` or `consumers`
   * @example
   * const authority = `https://login.microsoftonline.com/${tenantId}`
   * const cache = { cachePlugin: plugin.forApp(tenantId) }
   * const client = new ConfidentialClientApplication({ auth: { ...auth, authority }, cache })
   * await client.acquireTokenByClientCredential({ scopes: ['https://graph.microsoft.com/.default'] })
   */
  forApp(tenantId: string): ICachePlugin {
    return new AppPlugin(this.#backing, tenantId)
  }

  /**
   * The `cachePlugin` of a client that acquires tokens on behalf of the bearer of this incoming token, which the host
   * has validated. They live as long as the last of them, at most `ttl`, and until their account is evicted.
   *
   * MSAL's `acquireTokenOnBehalfOf` looks in memory only: call `client.getTokenCache().getAllAccounts()` first, which
   * loads them (two store calls). MSAL's calls reject with {@link AccountEvictedError} when the token was issued before
   * its account was evicted. A token without a readable `iat` counts as 24 hours old.
   * @throws {TypeError} when it is not a string
   * @example
   * const cachePlugin = plugin.forAssertion(incomingToken)
   * const client = new ConfidentialClientApplication({ auth, cache: { cachePlugin } })
   * await client.getTokenCache().getAllAccounts()
   * await client.acquireTokenOnBehalfOf({ oboAssertion: incomingToken, scopes })
   */
  forAssertion(assertion: string): ICachePlugin {
    return new OnBehalfOfPlugin(this.#backing, assertion)
  }

  /**
   * The `cachePlugin` of a client of a process that goes on after the incoming token has expired. It begins with
   * `acquireTokenOnBehalfOf` on a client that is given that token here too; later clients, in any process, go on with
   * `acquireTokenSilent`, which refreshes. Its record lives for `ttl` after its last write, until its account is
   * evicted, or until MSAL's `removeAccount` on such a client ends the process.
   *
   * MSAL's calls reject with {@link AccountEvictedError} as with {@link forAssertion}.
   * @param sessionKey a random key that the host makes for this process: anyone who has it has the tokens
   * @param assertion the incoming token to begin with
   * @throws {TypeError} for a session key or assertion that cannot be one
   * @example
   * const cachePlugin = plugin.forLongRunningProcess(sessionKey, incomingToken)
   * const client = new ConfidentialClientApplication({ auth, cache: { cachePlugin } })
   * await client.acquireTokenOnBehalfOf({ oboAssertion: incomingToken, scopes })
   */
  forLongRunningProcess(sessionKey: string, assertion?: string): ICachePlugin {
    return new LongRunningPlugin(this.#backing, sessionKey, assertion)
  }

  /**
   * After a sign-in: what to keep in the host's own session and to pass to {@link forAccount}. One store call,
   * or two where the response names the provider's session and the ID token does not.
   * @param response the authorization response, whose `session_state` stands in where the ID token has no `sid`
   * @throws {TypeError} when the result names no account
   * @throws {ConfigurationError} when nothing is stored for it
   * @throws {StoreUnavailableError}
   * @example
   * req.session.account = await plugin.openSession(await client.acquireTokenByCode(request))
   */
  async openSession(
    result: AuthenticationResult,
    response?: { sessionState?: string | undefined },
  ): Promise<HostSession> {
    if (!result?.account)
      throw new TypeError('result names no account: pass what acquireTokenByCode returned')
    const homeAccountId = checkHomeAccountId(result.account.homeAccountId)
    const claims = (result.idTokenClaims ?? {}) as { iss?: string; sid?: string }
    const { iss: issuer } = claims
    const sid = sessionIdOf(claims, response?.sessionState)
    // A session that the ID token names was linked when it was stored.
    const isLinked = sid === undefined || sid === claims.sid || issuer === undefined
    const session = isLinked ? undefined : { issuer, sessionState: sid }
    const tenantId = realmName(claims) || undefined
    const begun = await this.#backing.accounts.beginSession(homeAccountId, sid, session)
    if (begun === undefined) {
      throw new ConfigurationError(
        'nothing is stored for the account of this result: acquire it through a client whose cachePlugin is this ' +
          'plugin (if it was, the account has been evicted since)',
      )
    }
    return hostSession(this.#backing.accounts, { ...begun, homeAccountId, sid, tenantId })
  }

  /**
   * False once the account was evicted since that session began, or nothing is stored. One store call.
   * @param session what {@link openSession} or `completeSignIn` returned: an id alone does not say which sign-in
   * @throws {TypeError} for anything but a session
   * @throws {StoreUnavailableError}
   * @example
   * if (!(await plugin.isSignedIn(session))) res.redirect('/login')
   */
  async isSignedIn(session: HostSession): Promise<boolean> {
    return signedInCache(await this.#backing.accounts.load(sessionRef(session))) !== undefined
  }

  /**
   * Ends the account's sign-in for good, in every process: no load that begins after this has resolved yields
   * a credential of it, not even from a refresh in flight. Its refresh tokens are deleted, those of
   * long-running processes included. Three store calls.
   * @param homeAccountId exactly as MSAL has it, letter case included
   * @throws {TypeError} for a home account id that cannot be one
   * @throws {EvictionError} when the store did not confirm; repeating is safe
   * @example
   * const { existed } = await plugin.evictAccount(homeAccountId)
   */
  async evictAccount(homeAccountId: string): Promise<Eviction>
  /**
   * As above, if this session is of the account's current sign-in: a session from before an eviction ends no later
   * sign-in. One store call more.
   * @returns undefined if the session had ended
   * @throws {TypeError} for anything but a session
   * @throws {EvictionError} when the store did not confirm; repeating is safe
   * @throws {StoreUnavailableError} likewise
   * @example
   * await plugin.evictAccount(session)
   */
  async evictAccount(session: HostSession): Promise<Eviction | undefined>
  async evictAccount(account: string | HostSession): Promise<Eviction | undefined> {
    const { accounts } = this.#backing
    const of =
      typeof account === 'string' ? { homeAccountId: checkHomeAccountId(account) } : sessionRef(account)
    const isOver = typeof account !== 'string' && (await accounts.current([of])).length === 0
    return isOver ? undefined : (await accounts.evict([of.homeAccountId]))[0]
  }

  /**
   * Evicts a user of a directory, as an event of Microsoft Graph or an administrator names one: a home user or a guest,
   * by the account that signed in with these `tid` and `oid` claims. Up to five store calls; repeating is safe.
   * @param tenantId the directory's id, in any letter case
   * @param objectId the user's id in that directory, in any letter case
   * @returns what was evicted: nothing, where no sign-in of the user is known
   * @throws {TypeError} for an id that is not a GUID
   * @throws {EvictionError} when the store did not confirm; repeating is safe
   * @throws {StoreUnavailableError} likewise
   * @example
   * const evictions = await plugin.evictDirectoryUser(tenantId, objectId)
   */
  async evictDirectoryUser(tenantId: string, objectId: string): Promise<Eviction[]> {
    const user = {
      tenantId: checkDirectoryId('tenantId', tenantId),
      objectId: checkDirectoryId('objectId', objectId),
    }
    const { accounts } = this.#backing
    const links = await accounts.links.findDirectoryUser(user)
    const current = await accounts.current(links)
    return current.length === 0 ? [] : accounts.evict(current.map(({ homeAccountId }) => homeAccountId))
  }

  /**
   * The provider's sessions that lead to an account and have not ended, as far as the records say: for a page on which
   * users see where they are signed in. Three store calls.
   * @param account given a {@link HostSession}, only where that has not ended
   * @throws {TypeError} for an account that cannot be one
   * @throws {StoreUnavailableError}
   * @example
   * const sessions = await plugin.listSessions(session)
   */
  async listSessions(account: HostSession | AccountRef): Promise<SessionInfo[]> {
    return this.#backing.accounts.listSessions(signInRef(account))
  }

  /**
   * For readiness probes, and for a newcomer's first error message: writes, reads back and deletes a record, and tells
   * what is wrong with the store's configuration as far as it can be seen. It takes about 20 ms longer than the store.
   * @throws {StoreUnavailableError}
   * @example
   * const { supported, warnings } = await plugin.checkStore()
   * if (!supported) throw new Error(warnings.map(({ message }) => message).join('\n'))
   */
  checkStore(): Promise<StoreCheck> {
    return this.#check()
  }

  /** MSAL's call. */
  beforeCacheAccess(context: TokenCacheContext): Promise<void> {
    return this.#signIn.beforeCacheAccess(context)
  }

  /** MSAL's call. */
  afterCacheAccess(context: TokenCacheContext): Promise<void> {
    return this.#signIn.afterCacheAccess(context)
  }
}
