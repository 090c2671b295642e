import { type AccountRef, type HostSession, type SignInRef, signInRef } from './accounts/identity.ts'
import type { ProviderSession } from './accounts/links.ts'
import { ConfidentialClients } from './clients.ts'
import { report, trace } from './diagnostics.ts'
import { ConfigurationError, LogoutCallbackError, MsalKeyvError } from './errors.ts'
import type { LogoutTokenExpectations } from './logout/back-channel.ts'
import { matchesIssuer } from './logout/issuer.ts'
import { type EvictedSession, failed, type LogoutOutcome, succeeded } from './logout/outcome.ts'
import {
  type LogoutCallback,
  type LogoutOptions,
  parseCallback,
  resolveLogoutOptions,
} from './logout/parse.ts'
import type { LogoutRequest } from './logout/request.ts'
import { coreOf, KeyvCachePlugin } from './plugin.ts'

/**
 * The whole logout endpoint but its route: reads and verifies the provider's callback, evicts the accounts it means,
 * and says what to answer. It needs no cookie. One per issuer.
 *
 * @example
 * ```ts
 * const logout = new LogoutHandler(msal, { issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0' })
 * app.all('/logout-callback', async (req, res) => {
 *   const { status, headers, body } = await logout.handle(req)
 *   res.status(status).set(headers).send(body)
 * })
 * ```
 */
export class LogoutHandler {
  readonly #plugin: KeyvCachePlugin
  readonly #expected: LogoutTokenExpectations

  /** @throws {ConfigurationError} naming the option */
  constructor(plugin: KeyvCachePlugin | ConfidentialClients, options: LogoutOptions) {
    const cache = plugin instanceof ConfidentialClients ? plugin.plugin : plugin
    if (!(cache instanceof KeyvCachePlugin)) {
      throw new ConfigurationError('plugin must be a KeyvCachePlugin or a ConfidentialClients')
    }
    this.#plugin = cache
    this.#expected = resolveLogoutOptions({ ...options, clientId: coreOf(cache).clientId })
  }

  /**
   * Reads and verifies a callback, and evicts nobody.
   * @throws {LogoutCallbackError} when it is not valid, or could not be verified
   * @throws {ConfigurationError} when the request's body was read before
   */
  parse(request: LogoutRequest): Promise<LogoutCallback> {
    return parseCallback(request, this.#expected)
  }

  /**
   * Carries a callback out. Five store calls on the front channel and six on the back channel, however many accounts
   * it means. Doing it twice does no harm.
   *
   * A back-channel logout evicts the refresh tokens too, which Back-Channel Logout 1.0 §2.7 would leave to those who
   * were granted `offline_access`: MSAL always asks for that scope, and Microsoft's guidance is to remove the tokens.
   * @param session who the host's own cookie says it is; it serves only where the callback names nobody
   * @throws {ConfigurationError} when the request's body was read before, and nothing parsed is left of it
   * @throws {TypeError} for a session that cannot be one
   */
  async handle(request: LogoutRequest, session?: HostSession | AccountRef | null): Promise<LogoutOutcome> {
    const own = session === undefined || session === null ? undefined : signInRef(session)
    return trace(
      'msal-keyv:logout',
      {},
      () => this.#handle(request, own),
      ({ status, result, evicted }) => ({ status, result, evicted: evicted.length }),
    )
  }

  async #handle(request: LogoutRequest, session: SignInRef | undefined): Promise<LogoutOutcome> {
    const evicted: EvictedSession[] = []
    let callback: LogoutCallback | undefined
    try {
      callback = await this.parse(request)
      const named = this.#named(callback)
      if (named !== undefined) return await this.#endNamed(callback, named, evicted)
      if (callback.kind === 'front-channel' && session !== undefined) {
        return await this.#endOwn(callback, session, evicted)
      }
      return unknown(callback)
    } catch (error) {
      if (!(error instanceof MsalKeyvError) || error instanceof ConfigurationError) throw error
      return failed(error, callback, evicted)
    }
  }

  /** The session or subject that a callback names; undefined where that is nobody known here. */
  #named(callback: LogoutCallback): ProviderSession | undefined {
    if (callback.kind === 'foreign-issuer') return undefined
    const { sid, issuer = this.#expected.issuer } = callback
    const subject = callback.kind === 'back-channel' ? callback.subject : undefined
    return sid === undefined && subject === undefined ? undefined : { issuer, sid, subject }
  }

  async #endNamed(
    callback: LogoutCallback,
    named: ProviderSession,
    evicted: EvictedSession[],
  ): Promise<LogoutOutcome> {
    const { accounts } = coreOf(this.#plugin)
    const isBackChannel = callback.kind === 'back-channel'
    const found = await accounts.links.find(named, isBackChannel ? callback.jti : undefined)
    if (found.isReplay) throw new LogoutCallbackError('the logout token was used before')
    const links = found.links.filter((link) => matchesIssuer(link.issuer, named.issuer))
    const current = links.length === 0 ? [] : await accounts.current(links)
    if (current.length > 0) {
      const evictions = await accounts.evict(current.map(({ homeAccountId }) => homeAccountId))
      const sid = named.sid === undefined ? {} : { sid: named.sid }
      evicted.push(...evictions.map(({ homeAccountId }) => ({ homeAccountId, ...sid })))
    }
    // Not before it is done: until then the provider may try again with the same token.
    if (isBackChannel) await accounts.links.markCarriedOut(callback)
    if (evicted.length > 0) return succeeded('evicted', callback, evicted)
    return links.length > 0 ? succeeded('stale-session', callback) : unknown(callback)
  }

  async #endOwn(
    callback: LogoutCallback,
    { homeAccountId, generation }: SignInRef,
    evicted: EvictedSession[],
  ): Promise<LogoutOutcome> {
    const { accounts } = coreOf(this.#plugin)
    if ((await accounts.current([{ homeAccountId, generation }])).length === 0) {
      return succeeded('stale-session', callback)
    }
    await this.#plugin.evictAccount(homeAccountId)
    evicted.push({ homeAccountId })
    return succeeded('evicted', callback, evicted)
  }
}

function unknown(callback: LogoutCallback): LogoutOutcome {
  const channel = callback.kind === 'back-channel' ? callback.kind : 'front-channel'
  report('msal-keyv:unknown-session', { channel })
  return succeeded('unknown-session', callback)
}
