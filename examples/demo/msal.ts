import type { Configuration } from '@azure/msal-node'
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
