import type { AuthorizationCodeRequest, Configuration } from '@azure/msal-node'
import { ConfidentialClients, type HostSession, type KeyvLike, type SilentRequest } from '../../src/index.ts'

/** As in Microsoft's samples with a distributed cache. */
export class AuthProvider {
  readonly msal: ConfidentialClients

  constructor(config: Configuration, store: KeyvLike) {
    this.msal = new ConfidentialClients(config, { store })
  }

  async getTokenInteractive(request: AuthorizationCodeRequest) {
    const client = await this.msal.clientForSignIn()
    return this.msal.plugin.openSession(await client.acquireTokenByCode(request))
  }

  async getTokenSilent(request: SilentRequest, session: HostSession) {
    return this.msal.acquireTokenSilent(session, request)
  }
}
