import type {
  AuthenticationResult,
  ConfidentialClientApplication,
  Configuration,
  OnBehalfOfRequest,
} from '@azure/msal-node'
import { type AccountRef, type HostSession, signInRef } from './accounts/identity.ts'
import { ClientFactory } from './clients/client-factory.ts'
import { RememberedAnswers } from './clients/remembered-answers.ts'
import {
  type AuthorizationResponse,
  beginSignIn,
  completeSignIn,
  type PendingSignIn,
  type SignedIn,
  type SignInRequest,
} from './clients/sign-in.ts'
import { type SignOutRequest, signOut } from './clients/sign-out.ts'
import { accountCredential, appCredential, type TokenCredential } from './clients/token-credential.ts'
import { Tokens } from './clients/tokens.ts'
import { ConfigurationError } from './errors.ts'
import { AccountPlugin, type SilentRequest } from './kinds/account.ts'
import { AppPlugin, type AppTokenRequest } from './kinds/app.ts'
import type { Backing } from './kinds/cache-plugin.ts'
import { LongRunningPlugin, type LongRunningRequest } from './kinds/long-running.ts'
import { OnBehalfOfPlugin } from './kinds/on-behalf-of.ts'
import type { KeyvCachePluginOptions } from './options.ts'
import { backingOf, KeyvCachePlugin, type PluginLike } from './plugin.ts'

/** The options of a {@link KeyvCachePlugin} but the client id, or the plugin to use; and what concerns the clients. */
export type ConfidentialClientsOptions = (
  | Omit<KeyvCachePluginOptions, 'clientId'>
  | { plugin: PluginLike }
) & {
  /**
   * How many of the last answers this process remembers, so that a hit costs little more than its store call: access
   * tokens and ID tokens, in memory, as long as MSAL would return them. Default `{ entries: 5000, bytes: 32 MiB }`;
   * `false` remembers none.
   */
  rememberedAnswers?: { entries?: number | undefined; bytes?: number | undefined } | false | undefined
}

/**
 * MSAL's ConfidentialClientApplication for a server with many users: safe as a singleton, since every call gets an
 * MSAL client of its own that sees one account's partition only. Authority metadata is fetched once per authority,
 * and equal concurrent silent requests of one account share one request to the provider.
 *
 * @example
 * const msal = new ConfidentialClients(configuration, { store: new Keyv(new KeyvRedis(process.env.REDIS_URL)) })
 *
 * const { url, pending } = await msal.beginSignIn({ scopes, redirectUri })
 * const { session } = await msal.completeSignIn(pending, req.query)
 * const { accessToken } = await msal.acquireTokenSilent(session, { scopes })
 * const logoutUrl = await msal.signOut(session, { postLogoutRedirectUri })
 */
export class ConfidentialClients {
  /** The cache behind the clients: evictions, and plugins for clients of the host's own. */
  readonly plugin: KeyvCachePlugin
  readonly #backing: Backing
  readonly #clients: ClientFactory
  readonly #tokens: Tokens

  /**
   * @param configuration MSAL's, without `cache.cachePlugin`
   * @throws {ConfigurationError} naming what is wrong
   */
  constructor(configuration: Configuration, options: ConfidentialClientsOptions) {
    if (typeof options !== 'object' || options === null) {
      throw new ConfigurationError('options must be an object')
    }
    const clientId = configuration?.auth?.clientId
    const { rememberedAnswers, ...cache } = options
    if ('plugin' in cache && Object.keys(cache).length > 1) {
      throw new ConfigurationError(
        'plugin has options of its own: pass either plugin or plugin options, not both',
      )
    }
    this.plugin =
      'plugin' in cache ? (cache.plugin as KeyvCachePlugin) : new KeyvCachePlugin({ ...cache, clientId })
    this.#backing = backingOf(this.plugin)
    if (this.#backing.clientId !== clientId) {
      throw new ConfigurationError(
        'plugin was made for another client id: pass it the clientId of configuration.auth',
      )
    }
    this.#clients = new ClientFactory(configuration)
    const answers = new RememberedAnswers(rememberedAnswers)
    this.#backing.accounts.onEviction(answers)
    this.#tokens = new Tokens(this.#clients, answers)
  }

  /**
   * Begins a sign-in: state, nonce and PKCE challenge are made here. Send the browser to `url`, and keep `pending` in
   * its session until the authorization response arrives.
   * @throws {ConfigurationError} naming the member of the request that cannot work
   * @example
   * const { url, pending } = await msal.beginSignIn({ scopes, redirectUri })
   * req.session.pending = pending
   * res.redirect(url)
   */
  async beginSignIn(request: SignInRequest): Promise<{ url: string; pending: PendingSignIn }> {
    const { authorizationRequest, pending } = beginSignIn(request)
    const client = await this.#clients.client(undefined, request.authority)
    return { url: await client.getAuthCodeUrl(authorizationRequest), pending }
  }

  /**
   * Redeems the authorization code of a sign-in that is pending, stores the tokens and opens the host's session. Two
   * store calls. The response is checked first: its `state`, and that it brings a code; then the ID token's `nonce`.
   * @param pending what {@link beginSignIn} returned, as the browser's session has it; nothing where it has none
   * @param response the authorization response as the framework parsed it: the query, or the body of a `form_post`
   * @throws {AuthorizationResponseError} for what a visitor can do: no sign-in is pending in this browser, the
   *   response does not belong to it, or it is a refusal
   * @throws {ConfigurationError} when `pending` is not what {@link beginSignIn} returned
   * @throws {ServerError} (MSAL's) `invalid_grant` for a code that was redeemed before or has expired: begin again
   * @throws {StoreUnavailableError} when the sign-in could not be stored
   * @example
   * const { pending } = req.session
   * delete req.session.pending
   * const { session } = await msal.completeSignIn(pending, req.query)
   */
  async completeSignIn(
    pending: PendingSignIn | null | undefined,
    response: AuthorizationResponse | null | undefined,
  ): Promise<SignedIn> {
    return completeSignIn(this.#backing, this.#clients, pending, response)
  }

  /**
   * A token from the cache, or by the stored refresh token. A hit is one store call.
   * @param account given a {@link HostSession}, only the sign-in that it began with is used
   * @throws {InteractionRequiredAuthError} (MSAL's) when the user must sign in again, as after an eviction
   * @throws {StoreUnavailableError} when the store failed, which does not mean that the user is signed out
   * @example
   * const { accessToken } = await msal.acquireTokenSilent(session, { scopes: ['User.Read'] })
   */
  async acquireTokenSilent(
    account: HostSession | AccountRef,
    request: SilentRequest,
  ): Promise<AuthenticationResult> {
    return this.#tokens.acquire(new AccountPlugin(this.#backing, account), request)
  }

  /**
   * A token of the application itself for one tenant, from that tenant's partition or from the provider.
   * @throws {TypeError} for a tenant id that cannot be one
   * @example
   * const scopes = ['https://graph.microsoft.com/.default']
   * const { accessToken } = await msal.acquireTokenByClientCredential({ tenantId, scopes })
   */
  async acquireTokenByClientCredential(request: AppTokenRequest): Promise<AuthenticationResult> {
    const { tenantId, ...others } = request
    if ('authority' in others) {
      throw new ConfigurationError(
        'authority must be left out: tenantId decides whose resources the token is for',
      )
    }
    return this.#tokens.acquire(new AppPlugin(this.#backing, tenantId), others)
  }

  /**
   * A token for another API on behalf of the user whose token came in, from that token's partition or from the
   * provider. Validate the incoming token first.
   * @throws {AccountEvictedError} when the incoming token is older than the eviction of its account
   * @example
   * const { accessToken } = await msal.acquireTokenOnBehalfOf({ oboAssertion: incomingToken, scopes })
   */
  async acquireTokenOnBehalfOf(request: OnBehalfOfRequest): Promise<AuthenticationResult> {
    return this.#tokens.acquire(new OnBehalfOfPlugin(this.#backing, request.oboAssertion), request)
  }

  /**
   * As {@link acquireTokenOnBehalfOf}, for work that goes on after the incoming token has expired: the first call
   * brings the token, and later ones find what it acquired under `sessionKey`, and refresh it.
   * @param sessionKey a random key of the host's, such as `randomUUID()`, kept with the work
   * @throws {AccountEvictedError} when the incoming token is older than the eviction of its account
   * @throws {InteractionRequiredAuthError} (MSAL's) when there is nothing under that key, as after an eviction
   * @example
   * await msal.acquireTokenInLongRunningProcess(sessionKey, { oboAssertion: incomingToken, scopes })
   * // hours later, in any process
   * const { accessToken } = await msal.acquireTokenInLongRunningProcess(sessionKey, { scopes })
   */
  async acquireTokenInLongRunningProcess(
    sessionKey: string,
    request: LongRunningRequest,
  ): Promise<AuthenticationResult> {
    const plugin = new LongRunningPlugin(this.#backing, sessionKey, request.oboAssertion)
    return this.#tokens.acquire(plugin, request)
  }

  /**
   * Signs the user out here, and returns the provider's logout URL to send the browser to, with the hints that the
   * stored ID token gives. A session that was evicted before ends nothing that began after it. When the provider cannot
   * be asked where its logout endpoint is, the user is signed out here, and MSAL's error is thrown.
   * @returns undefined where the provider has no logout endpoint: the user is signed out here
   * @throws {EvictionError} when the store did not confirm: the user is not signed out
   * @throws {StoreUnavailableError} likewise
   * @throws {ConfigurationError} when `request` makes no valid URL of the provider's logout endpoint
   * @throws {TypeError} for a home account id that cannot be one
   * @example
   * const url = await msal.signOut(session, { postLogoutRedirectUri })
   * res.redirect(303, url?.href ?? '/')
   */
  async signOut(session: HostSession | AccountRef, request: SignOutRequest): Promise<URL | undefined> {
    return signOut(this.#backing, this.#clients, session, request)
  }

  /**
   * The account's tokens for clients of the Azure SDK and of Microsoft Graph. Make it, and them, for the request: such
   * a client keeps its last token in memory until that expires.
   *
   * `getToken` rejects with {@link AuthenticationRequiredError} when the user must sign in again, with
   * {@link StoreUnavailableError} when the store failed, with an `AbortError` when it was aborted, and with a
   * `TypeError` for a tenant id that cannot be one. `tenantId` is for guests: it asks another tenant for its token.
   * @param account given a {@link HostSession}, only the sign-in that it began with is used
   * @throws {TypeError} for an account that cannot be one
   * @example
   * const scopes = ['User.Read']
   * const authProvider = new TokenCredentialAuthenticationProvider(msal.credentialFor(session), { scopes })
   * const me = await Client.initWithMiddleware({ authProvider }).api('/me').get()
   */
  credentialFor(account: HostSession | AccountRef): TokenCredential {
    signInRef(account)
    const of = typeof account === 'string' ? account : { ...account }
    return accountCredential((query) => this.acquireTokenSilent(of, query))
  }

  /**
   * The application's own tokens of one tenant, as {@link credentialFor}. Keep it and its clients: nobody signs out.
   *
   * `getToken` rejects as {@link acquireTokenByClientCredential} does, and with a {@link ConfigurationError} when a
   * resource asks for the token of another tenant: it is for the host to decide that the resource may have one.
   * @param tenantId the tenant's id, as the resources name it, or its domain name
   * @throws {TypeError} for a tenant id that cannot be one
   * @example
   * const { token } = await msal.credentialForApp(tenantId).getToken('https://graph.microsoft.com/.default')
   */
  credentialForApp(tenantId: string): TokenCredential {
    return appCredential(tenantId, (query) => this.acquireTokenByClientCredential(query))
  }

  /**
   * An MSAL client that signs in, for what else MSAL offers. Use it for one request.
   * @example
   * const client = await msal.clientForSignIn()
   * const session = await msal.plugin.openSession(await client.acquireTokenByCode(request))
   */
  clientForSignIn(): Promise<ConfidentialClientApplication> {
    return this.#clients.client(this.plugin)
  }

  /**
   * An MSAL client that sees this account. Use it for one request.
   * @example
   * const client = await msal.clientFor(session)
   * const [account] = await client.getTokenCache().getAllAccounts()
   */
  async clientFor(account: HostSession | AccountRef): Promise<ConfidentialClientApplication> {
    return this.#clients.client(this.plugin.forAccount(account))
  }

  /**
   * An MSAL client for the application's own tokens of one tenant, which its authority is set to.
   * @example
   * const client = await msal.clientForApp(tenantId)
   * await client.acquireTokenByClientCredential({ scopes: ['https://graph.microsoft.com/.default'] })
   */
  async clientForApp(tenantId: string): Promise<ConfidentialClientApplication> {
    const plugin = this.plugin.forApp(tenantId)
    return this.#clients.client(plugin, this.#clients.ofTenant(tenantId))
  }

  /**
   * An MSAL client that sees what was acquired on behalf of the bearer of this incoming token.
   * @example
   * const client = await msal.clientForAssertion(incomingToken)
   * await client.acquireTokenOnBehalfOf({ oboAssertion: incomingToken, scopes })
   */
  async clientForAssertion(assertion: string): Promise<ConfidentialClientApplication> {
    return this.#clients.client(this.plugin.forAssertion(assertion))
  }
}
