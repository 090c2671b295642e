import {
  type AccountInfo,
  type AuthenticationResult,
  ConfidentialClientApplication,
  CryptoProvider,
  type ICachePlugin,
  ProtocolMode,
} from '@azure/msal-node'
import { type HostSession, KeyvCachePlugin, type KeyvLike } from '../../src/index.ts'
import type { RunningProvider } from './provider.ts'

const scopes = ['notes.read']

export interface MsalOptions {
  store: KeyvLike
  provider: RunningProvider
  clientId: string
  clientSecret: string
  redirectUri: string
}

/** What the app remembers between sending the user to the provider and the user's return. */
export interface PendingSignIn {
  state: string
  nonce: string
  codeVerifier: string
}

/** All that the app does with MSAL and with the token cache. */
export function createMsal({ store, provider, clientId, clientSecret, redirectUri }: MsalOptions) {
  const plugin = new KeyvCachePlugin({ store, clientId })
  const crypto = new CryptoProvider()

  // A new client for each use costs microseconds and holds the tokens of one user, for one request.
  const client = (cachePlugin: ICachePlugin) =>
    new ConfidentialClientApplication({
      auth: {
        clientId,
        clientSecret,
        authority: provider.issuer,
        knownAuthorities: [new URL(provider.issuer).host],
      },
      cache: { cachePlugin },
      system: { protocolMode: ProtocolMode.OIDC, networkClient: provider.networkClient },
    })

  return {
    plugin,

    async beginSignIn(): Promise<{ authCodeUrl: string; pending: PendingSignIn }> {
      const { verifier, challenge } = await crypto.generatePkceCodes()
      const pending = { state: crypto.createNewGuid(), nonce: crypto.createNewGuid(), codeVerifier: verifier }
      const authCodeUrl = await client(plugin).getAuthCodeUrl({
        scopes,
        redirectUri,
        state: pending.state,
        nonce: pending.nonce,
        codeChallenge: challenge,
        codeChallengeMethod: 'S256',
        prompt: 'consent', // oidc-provider's condition for a refresh token; Entra ID needs no such line
      })
      return { authCodeUrl, pending }
    },

    /** Redeems the code; MSAL checks state, nonce and PKCE against what is pending. */
    async finishSignIn(
      pending: PendingSignIn,
      response: { code: string; state: string },
    ): Promise<{ session: HostSession; result: AuthenticationResult }> {
      const result = await client(plugin).acquireTokenByCode(
        { scopes, redirectUri, code: response.code, ...pending },
        response,
      )
      return { session: await plugin.openSession(result), result }
    },

    /** From the cache if it can, through the refresh token if it must (or if `forceRefresh` asks). */
    acquireTokenSilent(session: HostSession, forceRefresh: boolean): Promise<AuthenticationResult> {
      return client(plugin.forAccount(session)).acquireTokenSilent({
        account: { homeAccountId: session.homeAccountId } as AccountInfo,
        scopes,
        forceRefresh,
      })
    },
  }
}
