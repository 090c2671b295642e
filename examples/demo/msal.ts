import { CryptoProvider, ProtocolMode } from '@azure/msal-node'
import { ConfidentialClients, type KeyvLike, LogoutHandler } from '../../src/index.ts'
import type { RunningProvider } from './provider.ts'

export const scopes = ['notes.read']

export interface MsalOptions {
  store: KeyvLike
  provider: RunningProvider
  clientId: string
  clientSecret: string
}

/** The one object that the app keeps for signing users in, for their tokens, and for signing them out. */
export function createMsal({ store, provider, clientId, clientSecret }: MsalOptions): ConfidentialClients {
  return new ConfidentialClients(
    {
      auth: {
        clientId,
        clientSecret,
        authority: provider.issuer,
        knownAuthorities: [new URL(provider.issuer).host],
      },
      system: { protocolMode: ProtocolMode.OIDC, networkClient: provider.networkClient },
    },
    { store },
  )
}

/** What answers the provider when the user has signed out, in this app or in any other. */
export function createLogout(msal: ConfidentialClients, provider: RunningProvider): LogoutHandler {
  return new LogoutHandler(msal, {
    issuer: provider.issuer,
    jwks: provider.jwksUri, // only in this demo: elsewhere the issuer's discovery document has it
  })
}

/** What the app remembers between sending the user to the provider and the user's return. */
export interface PendingSignIn {
  state: string
  nonce: string
  codeVerifier: string
}

const crypto = new CryptoProvider()

/** Where to send the browser, and what to remember until it comes back. */
export async function beginSignIn(
  msal: ConfidentialClients,
  redirectUri: string,
): Promise<{ authCodeUrl: string; pending: PendingSignIn }> {
  const { verifier, challenge } = await crypto.generatePkceCodes()
  const pending = { state: crypto.createNewGuid(), nonce: crypto.createNewGuid(), codeVerifier: verifier }
  const authCodeUrl = await msal.getAuthCodeUrl({
    scopes,
    redirectUri,
    state: pending.state,
    nonce: pending.nonce,
    codeChallenge: challenge,
    codeChallengeMethod: 'S256',
    prompt: 'consent', // oidc-provider's condition for a refresh token; Entra ID needs no such line
  })
  return { authCodeUrl, pending }
}
