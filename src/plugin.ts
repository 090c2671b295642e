import { AsyncLocalStorage } from 'node:async_hooks'
import type { AuthenticationResult, ICachePlugin, TokenCacheContext } from '@azure/msal-node'
import { ConfigurationError } from './errors.ts'
import { AccountPlugin, ScopePlugin } from './msal/account-plugin.ts'
import { SignInPlugin } from './msal/sign-in-plugin.ts'
import { type KeyvCachePluginOptions, resolveOptions } from './options.ts'
import { type AccountRef, checkHomeAccountId, type HostSession, subjectOf } from './partitions/identity.ts'
import { type Eviction, PartitionRepository } from './partitions/repository.ts'
import { KeyNames } from './store/key-names.ts'
import { KeyvStore } from './store/keyv-store.ts'

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
 * // any later request
 * const account = session.account
 * const bound = new ConfidentialClientApplication({ auth, cache: { cachePlugin: plugin.forAccount(account) } })
 * await bound.acquireTokenSilent({ account, scopes })
 * ```
 */
export class KeyvCachePlugin implements ICachePlugin {
  readonly #partitions: PartitionRepository
  readonly #signIn: SignInPlugin
  readonly #scopes = new AsyncLocalStorage<ScopePlugin>()

  /** @throws {ConfigurationError} naming the option */
  constructor(options: KeyvCachePluginOptions) {
    const settings = resolveOptions(options)
    const store = new KeyvStore(settings.store, settings.storeTimeout)
    this.#partitions = new PartitionRepository(store, new KeyNames(settings), settings.ttl)
    this.#signIn = new SignInPlugin(this.#partitions)
  }

  /**
   * The `cachePlugin` of a client that is made for this request and this account. Given a {@link HostSession}, it
   * shows only the sign-in that the session began with; else the one it finds first.
   * @throws {TypeError} for a home account id that cannot be one
   */
  forAccount(account: HostSession | AccountRef): ICachePlugin {
    return new AccountPlugin(this.#partitions, subjectOf(account))
  }

  /**
   * Compatibility: while `fn` runs, a client that a host insists on sharing, and whose `cachePlugin` is this plugin,
   * sees this account only. MSAL clears the memory of such a client at every `acquireTokenSilent`, so concurrent
   * calls can fail with `no_tokens_found`; prefer a client per request.
   * @param fn awaits every MSAL call it makes
   * @returns what `fn` returns
   * @throws {TypeError} for a home account id that cannot be one
   * @throws {ConfigurationError} when `fn` returns no promise
   */
  async runAs<Result>(account: HostSession | AccountRef, fn: () => Promise<Result>): Promise<Result> {
    const scope = new ScopePlugin(this.#partitions, subjectOf(account))
    return this.#scopes.run(scope, async () => {
      try {
        const result: unknown = fn()
        if (typeof (result as { then?: unknown } | undefined)?.then !== 'function') {
          throw new ConfigurationError('runAs needs a callback that returns a promise of all that it does')
        }
        return await (result as Promise<Result>)
      } finally {
        scope.end()
      }
    })
  }

  /**
   * After a sign-in: what to keep in the host's own session and to pass to {@link forAccount}. One store call.
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
    const { partition } = await this.#partitions.load(homeAccountId)
    if (partition === undefined) {
      throw new ConfigurationError(
        'nothing is stored for the account of this result: acquire it through a client whose cachePlugin is this ' +
          'plugin (if it was, the account has been evicted since)',
      )
    }
    const claims = result.idTokenClaims as { sid?: unknown } | undefined
    const sid = typeof claims?.sid === 'string' ? claims.sid : response?.sessionState
    return { homeAccountId, generation: partition.generation, ...(sid === undefined ? {} : { sid }) }
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
   * @throws {TypeError} for a home account id that cannot be one
   * @throws {EvictionError} when the store did not confirm; repeating is safe
   */
  async evictAccount(homeAccountId: string): Promise<Eviction> {
    return this.#partitions.evict(checkHomeAccountId(homeAccountId))
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
