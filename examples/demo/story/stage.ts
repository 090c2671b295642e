import {
  type AccountInfo,
  AuthError,
  type AuthorizationCodeRequest,
  ConfidentialClientApplication,
  type Configuration,
  InteractionRequiredAuthError,
} from '@azure/msal-node'
import { createLogoutUrl } from '../../../src/index.ts'
import { beginSignIn } from '../msal.ts'
import type { RunningProvider } from '../provider.ts'
import type { HeldAnswer } from '../provider-network.ts'
import type { CallbackAnswer, Host, SignedIn } from './host.ts'
import type { Visitor } from './visitor.ts'

/** What a user gets who comes back for a token. */
export type Served = 'a token from the cache' | 'a new token from the provider' | 'asked to sign in again'

export interface StageUris {
  readonly redirectUri: string
  readonly postLogoutRedirectUri: string
}

/** What a scenario needs beside the host: the provider, its users, and the other app. */
export class Stage {
  readonly #provider: RunningProvider
  readonly #other: Configuration
  readonly #uris: StageUris
  /** The host's answer to the provider's logout callback. */
  callbackAnswer = 'no logout callback has come'

  /** @param other the other app at the provider, of which nothing matters but its sign-out */
  constructor(provider: RunningProvider, other: Configuration, uris: StageUris) {
    this.#provider = provider
    this.#other = other
    this.#uris = uris
  }

  /** Takes a user through a sign-in, up to the code for the tokens. */
  async authorize(
    client: ConfidentialClientApplication,
    visitor: Visitor,
  ): Promise<AuthorizationCodeRequest> {
    const { redirectUri } = this.#uris
    const { url, pending } = await beginSignIn(client, this.#provider, redirectUri)
    const answer = await visitor.signIn(this.#provider.browserUrl(url), redirectUri)
    return { ...pending, code: answer.get('code') ?? '' }
  }

  async signIn(host: Host, visitor: Visitor): Promise<SignedIn> {
    const client = host.signInClient()
    return host.openSession(await client.acquireTokenByCode(await this.authorize(client, visitor)))
  }

  async signInElsewhere(visitor: Visitor): Promise<void> {
    const client = new ConfidentialClientApplication(this.#other)
    await client.acquireTokenByCode(await this.authorize(client, visitor))
  }

  /** Signs the user out of the other app and of the provider, which has told every app when this resolves. */
  async signOutElsewhere(visitor: Visitor): Promise<void> {
    const { postLogoutRedirectUri } = this.#uris
    const endSessionEndpoint = `${this.#provider.origin}/session/end`
    const { clientId } = this.#other.auth
    const url = createLogoutUrl({ endSessionEndpoint, clientId, postLogoutRedirectUri })
    await visitor.signOut(url.href, postLogoutRedirectUri)
  }

  /** A request of a signed-in user's, on a client of its own. @throws {Error} when the token is somebody else's */
  async serve(host: Host, user: SignedIn, forceRefresh = false): Promise<Served> {
    const client = host.clientFor(user)
    try {
      const account = { homeAccountId: user.homeAccountId } as AccountInfo
      const result = await client.acquireTokenSilent({ account, scopes: this.#provider.scopes, forceRefresh })
      const { caller } = await this.#provider.callApi(result.accessToken)
      if (caller !== user.homeAccountId) throw new Error('The token is somebody else’s')
      return result.fromCache ? 'a token from the cache' : 'a new token from the provider'
    } catch (error) {
      if (error instanceof InteractionRequiredAuthError) return 'asked to sign in again'
      if (error instanceof AuthError) throw new Error(`MSAL: ${error.errorCode}`, { cause: error })
      throw error
    }
  }

  /** Takes down what the host answered to the provider's logout callback. */
  calledBack({ status, result }: CallbackAnswer): void {
    this.callbackAnswer = `the app answers ${status}: ${result}`
  }

  holdRefreshes(host: Host): HeldAnswer {
    return this.#provider.holdRefreshes(host.clientId)
  }
}
