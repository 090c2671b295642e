import { type AccountRef, type HostSession, type SignInRef, signInRef } from './accounts/identity.ts'
import type { Link, ProviderSession } from './accounts/links.ts'
import { report, trace } from './diagnostics.ts'
import { ConfigurationError, LogoutCallbackError, MsalKeyvError } from './errors.ts'
import type { Backing } from './kinds/cache-plugin.ts'
import type { LogoutTokenExpectations } from './logout/back-channel.ts'
import { matchesIssuer } from './logout/issuer.ts'
import { type EndedSession, failed, type LogoutOutcome, succeeded } from './logout/outcome.ts'
import {
  type LogoutCallback,
  type LogoutOptions,
  parseCallback,
  resolveLogoutOptions,
} from './logout/parse.ts'
import type { CallbackRequest } from './logout/request.ts'
import { backingBehind, type PluginLike } from './plugin.ts'

/** Whose logout callbacks are taken, how they are verified, and what they end. */
export interface LogoutHandlerOptions extends LogoutOptions {
  /**
   * `'account'` (default): a callback ends all of the account's sessions, in every browser. `'session'`: it ends the
   * provider's session that it names; the account's tokens go with the last one, or with a callback that names the
   * subject only.
   */
  ends?: 'account' | 'session' | undefined
}

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
  readonly #backing: Backing
  readonly #ends: 'account' | 'session'
  readonly #expected: LogoutTokenExpectations

  /**
   * @param plugin a `KeyvCachePlugin`, or the `ConfidentialClients` that have one
   * @throws {ConfigurationError} naming the option
   */
  constructor(plugin: PluginLike | { readonly plugin: PluginLike }, options: LogoutHandlerOptions) {
    const backing = backingBehind(plugin)
    const { ends = 'account', ...callbacks } = options ?? {}
    if (ends !== 'account' && ends !== 'session') {
      throw new ConfigurationError("ends must be 'account' or 'session'")
    }
    this.#backing = backing
    this.#ends = ends
    this.#expected = resolveLogoutOptions({ ...callbacks, clientId: this.#backing.clientId })
    this.#backing.accounts.issuers.handle((issuer) => matchesIssuer(issuer, this.#expected.issuer))
  }

  /**
   * Reads and verifies a callback, and evicts nobody.
   * @throws {LogoutCallbackError} when it is not valid, or could not be verified
   * @throws {ConfigurationError} when the request's body was read before
   *
   * @example
   * ```ts
   * const callback = await logout.parse(req)
   * if (callback.kind === 'back-channel' && callback.sid !== undefined) await endSession(callback.sid)
   * ```
   */
  parse(request: CallbackRequest): Promise<LogoutCallback> {
    return parseCallback(request, this.#expected)
  }

  /**
   * Carries a callback out. Five store calls on the front channel and six on the back channel, however many accounts
   * it means, and four more where `ends: 'session'` looks for others. Doing it twice does no harm.
   *
   * A back-channel logout evicts the refresh tokens too, which Back-Channel Logout 1.0 §2.7 would leave to those who
   * were granted `offline_access`: MSAL always asks for that scope, and Microsoft's guidance is to remove the tokens.
   * @param session the session that the host's own cookie names; used only where the callback names none
   * @throws {ConfigurationError} when the request's body was read before, and nothing parsed is left of it
   * @throws {TypeError} for a session that cannot be one
   *
   * @example
   * ```ts
   * const { status, headers, body, result } = await logout.handle(req)
   * if (result === 'failed') console.error('a logout callback failed')
   * res.status(status).set(headers).send(body)
   * ```
   */
  async handle(request: CallbackRequest, session?: HostSession | AccountRef | null): Promise<LogoutOutcome> {
    const own = session === undefined || session === null ? undefined : signInRef(session)
    return trace(
      'msal-keyv:logout',
      {},
      () => this.#handle(request, own),
      ({ status, result, evicted }) => ({ status, result, evicted: evicted.length }),
    )
  }

  async #handle(request: CallbackRequest, session: SignInRef | undefined): Promise<LogoutOutcome> {
    const evicted: EndedSession[] = []
    let callback: LogoutCallback | undefined
    try {
      callback = await this.parse(request)
      const named = this.#named(callback)
      if (named !== undefined) return await this.#endNamed(callback, named, evicted)
      if (callback.kind === 'front-channel' && session !== undefined) {
        return await this.#endOwn(callback, session, evicted)
      }
      return this.#unknown(callback)
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
    evicted: EndedSession[],
  ): Promise<LogoutOutcome> {
    const { accounts } = this.#backing
    const isBackChannel = callback.kind === 'back-channel'
    const found = await accounts.links.find(named, isBackChannel ? callback.jti : undefined)
    if (found.isReplay) throw new LogoutCallbackError('the logout token was used before')
    const ofIssuer = (links: readonly Link[]) =>
      links.filter((link) => matchesIssuer(link.issuer, named.issuer))
    const bySession = ofIssuer(found.bySession)
    // A token that names a session which nobody here was ever in names its subject all the same.
    const isAnybodys = named.sid === undefined || (bySession.length === 0 && this.#ends === 'account')
    const links = isAnybodys ? ofIssuer(found.bySubject) : bySession
    const current = await accounts.current(links)
    const ids = current.map(({ homeAccountId }) => homeAccountId)
    const endedAlone = await this.#end(ids, named.sid, evicted)
    // Not before it is done: until then the provider may try again with the same token.
    if (isBackChannel) await accounts.links.markCarriedOut(callback)
    if (evicted.length > 0) return succeeded('evicted', callback, evicted, endedAlone)
    if (endedAlone.length > 0) return succeeded('session-ended', callback, [], endedAlone)
    return links.length > 0 ? succeeded('stale-session', callback) : this.#unknown(callback)
  }

  async #endOwn(
    callback: LogoutCallback,
    session: SignInRef,
    evicted: EndedSession[],
  ): Promise<LogoutOutcome> {
    const current = await this.#backing.accounts.current([session])
    if (current.length === 0) return succeeded('stale-session', callback)
    const endedAlone = await this.#end([session.homeAccountId], session.sid, evicted)
    return succeeded(evicted.length > 0 ? 'evicted' : 'session-ended', callback, evicted, endedAlone)
  }

  /** @returns the sessions that ended, of accounts that have others */
  async #end(
    ids: readonly string[],
    sid: string | undefined,
    evicted: EndedSession[],
  ): Promise<EndedSession[]> {
    if (ids.length === 0) return []
    const { accounts } = this.#backing
    const evictions =
      this.#ends === 'session' && sid !== undefined
        ? await accounts.endSession(ids, sid)
        : await accounts.evict(ids)
    const session = (homeAccountId: string) => ({ homeAccountId, ...(sid === undefined ? {} : { sid }) })
    const gone = new Set(evictions.map(({ homeAccountId }) => homeAccountId))
    evicted.push(...[...gone].map(session))
    return [...new Set(ids)].filter((id) => !gone.has(id)).map(session)
  }

  #unknown(callback: LogoutCallback): LogoutOutcome {
    const channel = callback.kind === 'back-channel' ? callback.kind : 'front-channel'
    report('msal-keyv:unknown-session', { channel })
    const other = this.#backing.accounts.issuers.mismatch
    if (other === undefined || callback.kind === 'foreign-issuer')
      return succeeded('unknown-session', callback)
    report('msal-keyv:issuer-mismatch', { issuer: other })
    return succeeded('issuer-mismatch', callback)
  }
}
