import { AsyncLocalStorage } from 'node:async_hooks'
import type { AuthenticationResult, ICachePlugin, TokenCacheContext } from '@azure/msal-node'
import { report } from './diagnostics.ts'
import { ConfigurationError } from './errors.ts'
import { AccountPlugin, ScopePlugin } from './msal/account-plugin.ts'
import { AppPlugin } from './msal/app-plugin.ts'
import { AssertionPlugin } from './msal/assertion-plugin.ts'
import { LongRunningPlugin } from './msal/long-running-plugin.ts'
import { ReportingPlugin } from './msal/reporting-plugin.ts'
import { SignInPlugin } from './msal/sign-in-plugin.ts'
import type { Repositories } from './msal/token-record-plugin.ts'
import { type KeyvCachePluginOptions, resolveOptions } from './options.ts'
import { checkSessionKey, readAssertion } from './partitions/assertion.ts'
import { GENERATION_LIFETIME } from './partitions/generation.ts'
import { type AccountRef, checkHomeAccountId, type HostSession, subjectOf } from './partitions/identity.ts'
import { Records } from './partitions/records.ts'
import type { Eviction } from './partitions/repository.ts'
import { checkTenantId } from './partitions/tenant.ts'
import { TokenRecordRepository } from './partitions/token-records.ts'
import { LinkedPartitions } from './sessions/linked-partitions.ts'
import { checkStore, type StoreCheck } from './store/check.ts'
import { KeyNames } from './store/key-names.ts'
import { KeyvStore } from './store/keyv-store.ts'
import { Sealing } from './store/sealing.ts'

/** What `ConfidentialClients` and `LogoutHandler` need of a plugin beyond its public face. */
interface Internals {
  readonly clientId: string
  readonly names: KeyNames
  readonly records: Records
  readonly partitions: LinkedPartitions
  /** Applies `onCommitFailure`; see {@link ReportingPlugin}. */
  withFailurePolicy(plugin: ICachePlugin, concerns: 'refreshes' | 'all'): ICachePlugin
}

export let internalsOf: (plugin: KeyvCachePlugin) => Internals

/**
 * MSAL Node's token cache in a Keyv store, one partition per account. Make one for an application and keep it.
 *
 * The instance itself is the `cachePlugin` of clients that sign users in: it loads nothing, and stores what they
 * acquire under the account that owns it. To use a stored account, make a client for the request with
 * {@link forAccount}.
 *
 * @example
 * ```ts
 * const plugin = new KeyvCachePlugin({ store: new Keyv(new KeyvRedis(url)), clientId })
 *
 * // sign in
 * const client = new ConfidentialClientApplication({ auth, cache: { cachePlugin: plugin } })
 * session.account = await plugin.openSession(await client.acquireTokenByCode(request))
 *
 * // any later request: MSAL needs no more of an account than its id
 * const { homeAccountId } = session.account
 * const cachePlugin = plugin.forAccount(session.account)
 * const bound = new ConfidentialClientApplication({ auth, cache: { cachePlugin } })
 * await bound.acquireTokenSilent({ account: { homeAccountId } as AccountInfo, scopes })
 * ```
 */
export class KeyvCachePlugin implements ICachePlugin {
  static {
    internalsOf = (plugin) => plugin.#internals
  }

  readonly #internals: Internals
  readonly #names: KeyNames
  readonly #partitions: LinkedPartitions
  readonly #repositories: Repositories
  readonly #signIn: SignInPlugin
  readonly #check: () => Promise<StoreCheck>
  readonly #scopes = new AsyncLocalStorage<ICachePlugin>()

  /** @throws {ConfigurationError} naming the option */
  constructor(options: KeyvCachePluginOptions) {
    const settings = resolveOptions(options)
    const store = new KeyvStore(settings.store, settings.storeTimeout)
    const records = new Records(store, new Sealing(settings))
    const names = new KeyNames(settings)
    const partitions = new LinkedPartitions(records, names, settings.ttl)
    this.#internals = {
      clientId: settings.clientId,
      names,
      records,
      partitions,
      withFailurePolicy: (plugin, concerns) =>
        settings.onCommitFailure === 'report' ? new ReportingPlugin(plugin, concerns) : plugin,
    }
    this.#check = () => checkStore(store, settings.store, GENERATION_LIFETIME)
    this.#names = names
    this.#partitions = partitions
    this.#repositories = { partitions, records: new TokenRecordRepository(records, names, settings.ttl) }
    this.#signIn = new SignInPlugin(partitions)
  }

  /**
   * The `cachePlugin` of a client that is made for this request and this account. Given a {@link HostSession}, it
   * shows only the sign-in that the session began with; else the one it finds first.
   * @throws {TypeError} for a home account id that cannot be one
   */
  forAccount(account: HostSession | AccountRef): ICachePlugin {
    return this.#internals.withFailurePolicy(
      new AccountPlugin(this.#partitions, subjectOf(account)),
      'refreshes',
    )
  }

  /**
   * The `cachePlugin` of a client for the application's own tokens of one tenant (`acquireTokenByClientCredential`).
   * A hit is one store call; the tokens live as long as the last of them, at most `ttl`. No eviction concerns them.
   *
   * MSAL's authority decides whose token it is: it has to name this tenant in the same way. A token of another tenant
   * is a {@link ConfigurationError}, and is not stored.
   * @param tenantId the tenant's id or domain name, in any case
   * @throws {TypeError} for a tenant id that cannot be one, or is `common`, `organizations` or `consumers`
   */
  forApp(tenantId: string): ICachePlugin {
    const tenant = checkTenantId(tenantId)
    return this.#internals.withFailurePolicy(
      new AppPlugin(this.#repositories, this.#names.app(tenant), tenant),
      'all',
    )
  }

  /**
   * The `cachePlugin` of a client that acquires tokens on behalf of the bearer of this incoming token, which the host
   * has validated. They live as long as the last of them, at most `ttl`, and until their account is evicted.
   *
   * MSAL's `acquireTokenOnBehalfOf` looks in memory only: call `client.getTokenCache().getAllAccounts()` first, which
   * loads them (two store calls). MSAL's calls reject with {@link AccountEvictedError} when the token was issued before
   * its account was evicted. A token without a readable `iat` counts as 24 hours old.
   * @throws {TypeError} when it is no text
   */
  forAssertion(assertion: string): ICachePlugin {
    const read = readAssertion(assertion)
    return this.#internals.withFailurePolicy(
      new AssertionPlugin(this.#repositories, this.#names.assertion(read.hash), read),
      'all',
    )
  }

  /**
   * The `cachePlugin` of a client of a process that goes on after the incoming token has expired. It begins with
   * `acquireTokenOnBehalfOf` on a client that is given that token here too; later clients, in any process, go on with
   * `acquireTokenSilent`, which refreshes. Its record lives for `ttl` after its last write, until its account is
   * evicted, or until MSAL's `removeAccount` on such a client ends the process.
   *
   * MSAL's calls reject with {@link AccountEvictedError} as with {@link forAssertion}.
   * @param sessionKey made by the host for this process, and for nobody to guess: who has it, has the tokens
   * @param assertion the incoming token to begin with
   * @throws {TypeError} for a session key or assertion that cannot be one
   */
  forLongRunningProcess(sessionKey: string, assertion?: string): ICachePlugin {
    const key = this.#names.longRunningProcess(checkSessionKey(sessionKey))
    return this.#internals.withFailurePolicy(
      new LongRunningPlugin(
        this.#repositories,
        key,
        assertion === undefined ? undefined : readAssertion(assertion),
      ),
      'refreshes',
    )
  }

  /**
   * Compatibility: while `fn` runs, a client that a host insists on sharing, and whose `cachePlugin` is this plugin,
   * sees this account only. Prefer a client per request. MSAL clears the memory of a shared one at every
   * `acquireTokenSilent`, so concurrent calls can fail with `no_tokens_found`, and a refresh may not be stored. And it
   * answers equal concurrent silent calls of one client by one of them, so that a call which begins after an eviction
   * can still get the token of a refresh that was in flight.
   * @param fn awaits every MSAL call it makes
   * @returns what `fn` returns
   * @throws {TypeError} for a home account id that cannot be one
   * @throws {ConfigurationError} when `fn` returns no promise
   */
  async runAs<Result>(account: HostSession | AccountRef, fn: () => Promise<Result>): Promise<Result> {
    const scope = new ScopePlugin(this.#partitions, subjectOf(account))
    const plugin = this.#internals.withFailurePolicy(scope, 'refreshes')
    return this.#scopes.run(plugin, async () => {
      try {
        const result: unknown = fn()
        if (typeof (result as { then?: unknown } | undefined)?.then !== 'function') {
          throw new ConfigurationError('runAs needs a callback that returns a promise of all that it does')
        }
        return await (result as Promise<Result>)
      } finally {
        await scope.end()
      }
    })
  }

  /**
   * After a sign-in: what to keep in the host's own session and to pass to {@link forAccount}. One store call,
   * or two where the response names the provider's session and the ID token does not.
   * @param response the authorization response, whose `session_state` stands in where the ID token has no `sid`
   * @throws {TypeError} when the result names no account
   * @throws {ConfigurationError} when nothing is stored for it
   * @throws {StoreUnavailableError}
   */
  async openSession(
    result: AuthenticationResult,
    response?: { sessionState?: string | undefined },
  ): Promise<HostSession> {
    if (!result?.account)
      throw new TypeError('result names no account: pass what acquireTokenByCode returned')
    const homeAccountId = checkHomeAccountId(result.account.homeAccountId)
    const { iss, sid: claimed } = (result.idTokenClaims ?? {}) as { iss?: string; sid?: string }
    const sid = claimed || response?.sessionState
    // A session that the ID token names was linked when it was stored.
    const isLinked = Boolean(claimed) || sid === undefined || iss === undefined
    const partition = isLinked
      ? (await this.#partitions.load(homeAccountId)).partition
      : await this.#partitions.link(homeAccountId, { issuer: iss, sid, subject: undefined })
    if (partition === undefined) {
      throw new ConfigurationError(
        'nothing is stored for the account of this result: acquire it through a client whose cachePlugin is this ' +
          'plugin (if it was, the account has been evicted since)',
      )
    }
    return openedSession(this, { homeAccountId, generation: partition.generation, sid })
  }

  /**
   * False once the account was evicted since that session began, or nothing is stored. One store call.
   * @throws {TypeError} for a home account id that cannot be one
   * @throws {StoreUnavailableError}
   */
  async isSignedIn(account: HostSession | AccountRef): Promise<boolean> {
    const { homeAccountId, generation } = subjectOf(account)
    const { partition } = await this.#partitions.load(homeAccountId)
    return partition !== undefined && (generation === undefined || generation === partition.generation)
  }

  /**
   * Ends the account's sign-in for good, in every process: no load that begins after this has resolved yields
   * a credential of it, not even from a refresh in flight. Two store calls.
   * @param homeAccountId exactly as MSAL has it, letter case included
   * @throws {TypeError} for a home account id that cannot be one
   * @throws {EvictionError} when the store did not confirm; repeating is safe
   */
  async evictAccount(homeAccountId: string): Promise<Eviction> {
    return this.#partitions.evict(checkHomeAccountId(homeAccountId))
  }

  /**
   * For readiness probes, and for a newcomer's first error message: writes, reads back and deletes a record, and tells
   * what is wrong with the store's configuration as far as it can be seen. It takes about 20 ms longer than the store.
   * @throws {StoreUnavailableError}
   */
  checkStore(): Promise<StoreCheck> {
    return this.#check()
  }

  /** MSAL's call. */
  beforeCacheAccess(context: TokenCacheContext): Promise<void> {
    return this.#current.beforeCacheAccess(context)
  }

  /** MSAL's call. */
  afterCacheAccess(context: TokenCacheContext): Promise<void> {
    return this.#current.afterCacheAccess(context)
  }

  get #current(): ICachePlugin {
    return this.#scopes.getStore() ?? this.#signIn
  }
}

/** The session for the host to keep. Says so where no logout callback will ever find it. */
export function openedSession(plugin: KeyvCachePlugin, { sid, ...session }: HostSession): HostSession {
  if (sid !== undefined) return { ...session, sid }
  const key = internalsOf(plugin).partitions.keyOf(session.homeAccountId)
  const hint = 'no sid: with Entra ID, add it to the ID token as an optional claim, or pass session_state on'
  report('msal-keyv:sign-in-without-link', { key, hint })
  return session
}
