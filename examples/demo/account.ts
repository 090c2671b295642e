import { createHash, randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { AuthError, InteractionRequiredAuthError } from '@azure/msal-node'
import {
  type ConfidentialClients,
  type HostSession,
  MsalKeyvError,
  parsePostLogout,
} from '../../src/index.ts'
import type { Answer } from './answer.ts'
import type { IdentityProvider } from './identity-provider.ts'
import type { Outcome } from './page/outcome.ts'
import type { Session } from './sessions.ts'

/** What the app does for its user: sign in, call an API, sign out. */
export class Account {
  readonly #msal: ConfidentialClients
  readonly #provider: IdentityProvider
  readonly #redirectUri: string
  readonly #postLogoutRedirectUri: string

  constructor(
    msal: ConfidentialClients,
    provider: IdentityProvider,
    uris: { redirectUri: string; postLogoutRedirectUri: string },
  ) {
    this.#msal = msal
    this.#provider = provider
    this.#redirectUri = uris.redirectUri
    this.#postLogoutRedirectUri = uris.postLogoutRedirectUri
  }

  async signIn(session: Session): Promise<Answer> {
    const { scopes, prompt } = this.#provider
    const { url, pending } = await this.#msal.beginSignIn({ scopes, prompt, redirectUri: this.#redirectUri })
    return { location: this.#provider.browserUrl(url), session: { ...session, pending } }
  }

  /** The browser is back, with a code for tokens. State, nonce and PKCE are checked against what is pending. */
  async callback(session: Session, query: URLSearchParams): Promise<Answer> {
    const { pending } = session
    delete session.pending
    if (!pending) return { location: '/' }
    const { session: account, result } = await this.#msal.completeSignIn(pending, query)
    const username = result.account?.username ?? ''
    return {
      location: '/',
      session: { user: { username, account }, outcome: { kind: 'signed-in', username } },
    }
  }

  /** A token from the cache, or a new one from the provider, and what an API says to it. */
  async callApi(account: HostSession, forceRefresh: boolean): Promise<Outcome> {
    const { scopes } = this.#provider
    const result = await this.#msal.acquireTokenSilent(account, { scopes, forceRefresh })
    const { api, caller } = await this.#provider.callApi(result.accessToken)
    return {
      kind: 'token',
      api,
      caller,
      fromCache: result.fromCache,
      fingerprint: fingerprint(result.accessToken),
      scopes: result.scopes,
      expiresAt: result.expiresOn,
    }
  }

  /** Ends the sign-in here, and leaves the provider alone. */
  async evict(account: HostSession): Promise<Outcome> {
    const { evictedAt, existed } = await this.#msal.plugin.evictAccount(account.homeAccountId)
    return { kind: 'evicted', at: evictedAt, existed }
  }

  /** Ends the sign-in here, and sends the browser to the provider to do the same there. */
  async signOut({ user }: Session): Promise<Answer> {
    if (!user) return { location: '/' }
    const state = randomUUID()
    const postLogoutRedirectUri = this.#postLogoutRedirectUri
    const url = await this.#msal.signOut(user.account, { postLogoutRedirectUri, state })
    const location = url === undefined ? '/' : this.#provider.browserUrl(url.href)
    return { location, session: { signOutState: state } }
  }

  /** Back from the provider. Anybody can send a browser here, so without the right state nothing happens. */
  signedOut(request: IncomingMessage, { signOutState }: Session): Answer {
    const { state } = parsePostLogout(request)
    if (state === undefined || state !== signOutState) return { location: '/' }
    return { location: '/', session: { outcome: { kind: 'signed-out' } } }
  }
}

/** What a user is told. @throws what is unexpected, and so the server's own problem */
export function failure(error: unknown): Outcome {
  if (error instanceof AuthError) {
    const signInAgain = error instanceof InteractionRequiredAuthError
    return { kind: 'failed', signInAgain, code: error.errorCode, message: error.errorMessage }
  }
  if (error instanceof MsalKeyvError) {
    return { kind: 'failed', signInAgain: false, code: error.code, message: error.message }
  }
  throw error
}

/** Enough to see whether a token is the same as before, of no use to anybody who sees it. */
function fingerprint(token: string): string {
  return createHash('sha256').update(token).digest('hex').slice(0, 12)
}
