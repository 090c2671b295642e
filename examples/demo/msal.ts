import { type ConfidentialClientApplication, type Configuration, CryptoProvider } from '@azure/msal-node'
import { ConfidentialClients, type KeyvLike, LogoutHandler } from '../../src/index.ts'
import type { IdentityProvider } from './identity-provider.ts'

/** The one object that the app keeps for signing users in, for their tokens, and for signing them out. */
export function createMsal(configuration: Configuration, store: KeyvLike): ConfidentialClients {
  return new ConfidentialClients(configuration, { store })
}

/** What answers the provider when the user has signed out, in this app or in any other. */
export function createLogout(msal: ConfidentialClients, provider: IdentityProvider): LogoutHandler {
  return new LogoutHandler(msal, provider.logout)
}

/** What the app remembers between sending the user to the provider and the user's return. */
export interface PendingSignIn {
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
  readonly redirectUri: string
  readonly scopes: string[]
}

const crypto = new CryptoProvider()

/** Where to send the browser, and what to remember until it comes back. */
export async function beginSignIn(
  client: Pick<ConfidentialClientApplication, 'getAuthCodeUrl'>,
  { scopes, prompt }: Pick<IdentityProvider, 'scopes' | 'prompt'>,
  redirectUri: string,
): Promise<{ url: string; pending: PendingSignIn }> {
  const { verifier, challenge } = await crypto.generatePkceCodes()
  const [state, nonce] = [crypto.createNewGuid(), crypto.createNewGuid()]
  const url = await client.getAuthCodeUrl({
    scopes,
    redirectUri,
    state,
    nonce,
    codeChallenge: challenge,
    codeChallengeMethod: 'S256',
    ...(prompt && { prompt }),
  })
  return { url, pending: { state, nonce, codeVerifier: verifier, redirectUri, scopes } }
}
