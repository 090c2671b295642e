import {
  type AccountInfo,
  type AuthenticationResult,
  type AuthorizationCodeRequest,
  type AuthorizationUrlRequest,
  type ClientCredentialRequest,
  ConfidentialClientApplication,
  type Configuration,
  type ICachePlugin,
  type OnBehalfOfRequest,
  ProtocolMode,
  type SilentFlowRequest,
} from '@azure/msal-node'
import { type AccountRef, type HostSession, signInRef } from './accounts/identity.ts'
import { AuthorityMetadata, type KnownMetadata } from './clients/authority-metadata.ts'
import { type AuthorizationResponse, readAuthorizationResponse } from './clients/authorization-response.ts'
import { sharedCredentials } from './clients/credentials.ts'
import { requestKey, SharedCalls } from './clients/shared-calls.ts'
import { describeAccount } from './clients/stored-account.ts'
import { ConfigurationError } from './errors.ts'
import { createLogoutUrl } from './logout/url.ts'
import { sessionIdOf } from './msal/provider-sessions.ts'
import type { KeyvCachePluginOptions } from './options.ts'
import { coreOf, KeyvCachePlugin, openedSession } from './plugin.ts'

/** MSAL's request without `code` where the authorization response brings it. */
export type CodeRequest = Omit<AuthorizationCodeRequest, 'code'> & { code?: string | undefined }

/** MSAL's request without `account`, which is the first argument. */
export type SilentRequest = Omit<SilentFlowRequest, 'account'>

/** MSAL's request with the tenant whose resources the token is for, which sets the authority. */
export type AppTokenRequest = Omit<ClientCredentialRequest, 'authority' | 'scopes'> & {
  tenantId: string
  scopes: string[]
}

export interface SignOutRequest {
  /** Where the provider sends the browser afterwards; registered there exactly like this. */
  postLogoutRedirectUri: string
  /** Comes back unchanged; bind it to the browser. */
  state?: string | undefined
}

const DEFAULT_AUTHORITY = 'https://login.microsoftonline.com/common'

/**
 * MSAL's ConfidentialClientApplication for a server with many users: safe as a singleton, since every call gets an
 * MSAL client of its own that sees one account's partition only. Authority metadata is fetched once per authority,
 * and equal concurrent silent requests of one account share one request to the provider.
 *
 * @example
 * ```ts
 * const msal = new ConfidentialClients(configuration, { store: new Keyv(new KeyvRedis(url)) })
 *
 * const { session } = await msal.acquireTokenByCode({ scopes, redirectUri, ...pending }, query)
 * const { accessToken } = await msal.acquireTokenSilent(session, { scopes })
 * const url = await msal.signOut(session, { postLogoutRedirectUri })
 * ```
 */
export class ConfidentialClients {
  /** The cache behind the clients: evictions, and plugins for clients of the host's own. */
  readonly plugin: KeyvCachePlugin
  readonly #configuration: Configuration
  readonly #authority: string
  readonly #metadata: AuthorityMetadata
  readonly #silentCalls = new SharedCalls<{ result: AuthenticationResult; generation: string | undefined }>()

  /**
   * @param configuration MSAL's, without `cache.cachePlugin`
   * @param options those of {@link KeyvCachePlugin} but the client id, or the plugin to use
   * @throws {ConfigurationError} naming what is wrong
   */
  constructor(
    configuration: Configuration,
    options: Omit<KeyvCachePluginOptions, 'clientId'> | { plugin: KeyvCachePlugin },
  ) {
    if (typeof options !== 'object' || options === null)
      throw new ConfigurationError('options must be an object')
    const clientId = configuration?.auth?.clientId
    if (configuration?.cache?.cachePlugin !== undefined) {
      throw new ConfigurationError(
        'configuration.cache.cachePlugin must be left out: ConfidentialClients sets it',
      )
    }
    if ('plugin' in options && Object.keys(options).length > 1) {
      throw new ConfigurationError('plugin has options of its own: give it alone, or give the options')
    }
    this.plugin = 'plugin' in options ? options.plugin : new KeyvCachePlugin({ ...options, clientId })
    if (!(this.plugin instanceof KeyvCachePlugin)) {
      throw new ConfigurationError('plugin must be a KeyvCachePlugin')
    }
    if (coreOf(this.plugin).clientId !== clientId) {
      throw new ConfigurationError("plugin was made for another clientId than configuration's")
    }
    this.#configuration = { ...configuration, auth: sharedCredentials({ ...configuration.auth }) }
    this.#authority = configuration.auth.authority ?? DEFAULT_AUTHORITY
    this.#metadata = new AuthorityMetadata((authority) => this.#make(authority))
    if (!URL.canParse(this.#authority))
      throw new ConfigurationError('configuration.auth.authority must be a URL')
    // MSAL checks its credentials here, and not at the first request of a user.
    this.#make(this.#authority)
  }

  /** The URL to send the browser to. MSAL's own call. */
  async getAuthCodeUrl(request: AuthorizationUrlRequest): Promise<string> {
    const client = await this.#client(undefined, request.authority)
    return client.getAuthCodeUrl(request)
  }

  /**
   * Redeems an authorization code, stores the tokens and opens the host's session. Two store calls.
   * @param response the authorization response as the framework parsed it, whose `state` is checked against the
   *   request's; without it, `request.code` is redeemed and checking is the host's
   * @throws {AuthorizationResponseError} when the response is none for this request, or a refusal
   * @throws {ConfigurationError} without `state` to check or `code` to redeem
   * @throws {StoreUnavailableError} when the sign-in could not be stored
   */
  async acquireTokenByCode(
    request: CodeRequest,
    response?: AuthorizationResponse,
  ): Promise<{ session: HostSession; result: AuthenticationResult }> {
    const answer = response && readAuthorizationResponse(response, request.state)
    const code = answer?.code ?? request.code
    if (!code) throw new ConfigurationError('code is missing: pass it, or the authorization response')
    const stored = new Map<string, string>()
    const plugin = coreOf(this.plugin).forSignIn({
      sessionState: answer?.sessionState,
      signedIn: (account, joined) => stored.set(account, joined),
    })
    const client = await this.#client(plugin, request.authority)
    const result = await client.acquireTokenByCode({ ...request, code })
    const homeAccountId = result.account?.homeAccountId ?? ''
    const generation = stored.get(homeAccountId)
    if (generation === undefined) {
      throw new ConfigurationError(
        'the provider returned nothing to store: ask for a scope, and for an ID token',
      )
    }
    const sid = sessionIdOf(result.idTokenClaims, answer?.sessionState)
    const session = { homeAccountId, generation, sid }
    return { session: openedSession(this.plugin, session), result }
  }

  /**
   * A token from the cache, or by the stored refresh token. A hit is one store call.
   * @param account given a {@link HostSession}, only the sign-in that it began with is used
   * @throws {InteractionRequiredAuthError} (MSAL's) when the user has to sign in again, as after an eviction
   * @throws {StoreUnavailableError} when the store failed, which does not mean that the user is signed out
   */
  async acquireTokenSilent(
    account: HostSession | AccountRef,
    request: SilentRequest,
  ): Promise<AuthenticationResult> {
    const subject = signInRef(account)
    const of = accountInfo(account, subject.homeAccountId)
    const key = requestKey({ ...request, ...subject, account: of })
    const { result } = await this.#silentCalls.call(
      key,
      async () => {
        const core = coreOf(this.plugin)
        const plugin = core.forAccount(account)
        const [stored, client] = await Promise.all([
          plugin.loadAhead(),
          this.#client(core.withFailurePolicy(plugin, 'refreshes'), request.authority),
        ])
        const acquired = await client.acquireTokenSilent({ ...request, account: of })
        const found = acquired.account ?? describeAccount(stored, subject.homeAccountId, acquired)
        return { result: { ...acquired, account: found }, generation: plugin.generation }
      },
      async ({ generation }) =>
        generation !== undefined &&
        this.plugin.isSignedIn({ homeAccountId: subject.homeAccountId, generation }),
    )
    // Shared with others: each caller gets its own, under its own correlation id.
    const { correlationId = result.correlationId } = request
    return { ...result, correlationId, scopes: [...result.scopes] }
  }

  /**
   * A token of the application itself for one tenant, from that tenant's partition or from the provider.
   * @throws {TypeError} for a tenant id that cannot be one
   */
  async acquireTokenByClientCredential({
    tenantId,
    ...request
  }: AppTokenRequest): Promise<AuthenticationResult> {
    if ('authority' in request) {
      throw new ConfigurationError(
        'authority must be left out: tenantId decides whose resources the token is for',
      )
    }
    const client = await this.forApp(tenantId)
    return answered(await client.acquireTokenByClientCredential(request))
  }

  /**
   * A token for another API on behalf of the user whose token came in, from that token's partition or from the
   * provider. Validating the incoming token is the host's.
   * @throws {AccountEvictedError} when the incoming token is older than the eviction of its account
   */
  async acquireTokenOnBehalfOf(request: OnBehalfOfRequest): Promise<AuthenticationResult> {
    const client = await this.#client(this.plugin.forAssertion(request.oboAssertion), request.authority)
    // MSAL looks for the token in memory only, and forgets whose it is.
    const [account = null] = await client.getTokenCache().getAllAccounts()
    const result = answered(await client.acquireTokenOnBehalfOf(request))
    return result.fromCache ? { ...result, account: result.account ?? account } : result
  }

  /**
   * As {@link acquireTokenOnBehalfOf}, for work that goes on after the incoming token has expired: the first call
   * brings the token, and later ones find what it acquired under `sessionKey`, and refresh it.
   * @param sessionKey made up by the host, not to be guessed, and kept with the work
   * @throws {AccountEvictedError} when the incoming token is older than the eviction of its account
   * @throws {InteractionRequiredAuthError} (MSAL's) when there is nothing under that key, as after an eviction
   */
  async acquireTokenInLongRunningProcess(
    sessionKey: string,
    request: SilentRequest & { oboAssertion?: string | undefined },
  ): Promise<AuthenticationResult> {
    const { oboAssertion, ...silent } = request
    const core = coreOf(this.plugin)
    const plugin = core.forLongRunningProcess(sessionKey, oboAssertion)
    const client = await this.#client(core.withFailurePolicy(plugin, 'refreshes'), request.authority)
    if (oboAssertion !== undefined) {
      // MSAL looks for the token in memory only.
      await client.getTokenCache().getAllAccounts()
      return answered(await client.acquireTokenOnBehalfOf({ ...silent, oboAssertion }))
    }
    const [stored] = Object.values((await plugin.loadAhead())?.Account ?? {})
    const account = { homeAccountId: stored?.home_account_id ?? '' } as AccountInfo
    return client.acquireTokenSilent({ ...silent, account })
  }

  /**
   * Signs the user out here, and returns the provider's logout URL to send the browser to, with the hints that the
   * stored ID token gives. A session that was evicted before ends nothing that began after it. When the provider does
   * not say where its logout endpoint is, the user is signed out here, and its error is thrown.
   * @throws {EvictionError} when the store did not confirm: the user is not signed out
   * @throws {StoreUnavailableError} likewise
   * @throws {ConfigurationError} when the provider has no logout endpoint, or `request` makes no valid URL of it
   * @throws {TypeError} for a home account id that cannot be one
   */
  async signOut(session: HostSession | AccountRef, request: SignOutRequest): Promise<URL> {
    const { homeAccountId, generation } = signInRef(session)
    const client = this.#make(this.#authority, this.plugin.forAccount(session))
    const [account] = await client.getTokenCache().getAllAccounts()
    const url = await this.#logoutUrl(account, request).catch((error: unknown) => {
      if (error instanceof ConfigurationError) throw error
      return { error }
    })
    const { accounts } = coreOf(this.plugin)
    const isCurrent = account !== undefined || generation === undefined
    if (isCurrent || (await accounts.current([{ homeAccountId, generation }])).length > 0) {
      await this.plugin.evictAccount(homeAccountId)
    }
    // The provider is down: the user is signed out here all the same.
    if ('error' in url) throw url.error
    return url
  }

  async #logoutUrl(account: AccountInfo | undefined, request: SignOutRequest): Promise<URL> {
    const endSessionEndpoint = await this.#metadata.endSessionEndpoint(this.#authority)
    if (endSessionEndpoint === undefined) {
      throw new ConfigurationError('the authority has no end_session_endpoint: evict the account instead')
    }
    const { login_hint: loginHint } = (account?.idTokenClaims ?? {}) as { login_hint?: string }
    return createLogoutUrl({
      endSessionEndpoint,
      clientId: this.#configuration.auth.clientId,
      postLogoutRedirectUri: request.postLogoutRedirectUri,
      logoutHint: loginHint,
      // An ID token in a URL ends up in histories and logs.
      idTokenHint: loginHint === undefined ? account?.idToken : undefined,
      state: request.state,
    })
  }

  /** An MSAL client that signs in, for what else MSAL offers. Use it for one request. */
  forSignIn(): Promise<ConfidentialClientApplication> {
    return this.#client(this.plugin)
  }

  /** An MSAL client that sees this account. Use it for one request. */
  async forAccount(account: HostSession | AccountRef): Promise<ConfidentialClientApplication> {
    return this.#client(this.plugin.forAccount(account))
  }

  /** An MSAL client for the application's own tokens of one tenant, which its authority is set to. */
  async forApp(tenantId: string): Promise<ConfidentialClientApplication> {
    const plugin = this.plugin.forApp(tenantId)
    return this.#client(plugin, this.#authorityOf(tenantId))
  }

  /** An MSAL client that sees what was acquired on behalf of the bearer of this incoming token. */
  async forAssertion(assertion: string): Promise<ConfidentialClientApplication> {
    return this.#client(this.plugin.forAssertion(assertion))
  }

  async #client(
    cachePlugin: ICachePlugin | undefined,
    authority: string = this.#authority,
  ): Promise<ConfidentialClientApplication> {
    return this.#make(authority, cachePlugin, await this.#metadata.of(authority))
  }

  #make(
    authority: string,
    cachePlugin?: ICachePlugin,
    metadata?: KnownMetadata,
  ): ConfidentialClientApplication {
    const { auth, cache, ...others } = this.#configuration
    return new ConfidentialClientApplication({
      ...others,
      auth: { ...auth, authority, ...metadata },
      cache: { ...cache, ...(cachePlugin === undefined ? {} : { cachePlugin }) },
    })
  }

  /** The configured authority for another tenant. An OpenID provider in general has no tenants. */
  #authorityOf(tenantId: string): string {
    if (this.#configuration.system?.protocolMode === ProtocolMode.OIDC) return this.#authority
    const url = new URL(this.#authority)
    const [tenant, ...policy] = url.pathname.split('/').filter(Boolean)
    if (tenant === 'adfs') return this.#authority
    url.pathname = [tenantId, ...policy].join('/')
    return url.href
  }
}

/** MSAL looks accounts up by the id alone; what else the host knows of the account narrows it down. */
function accountInfo(account: HostSession | AccountRef, homeAccountId: string): AccountInfo {
  return {
    ...(typeof account === 'object' && !('generation' in account) ? account : {}),
    homeAccountId,
  } as AccountInfo
}

function answered(result: AuthenticationResult | null): AuthenticationResult {
  if (result === null) throw new ConfigurationError('MSAL returned no token and no error')
  return result
}
