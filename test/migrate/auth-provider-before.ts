import {
  type AuthorizationCodeRequest,
  ConfidentialClientApplication,
  type Configuration,
  DistributedCachePlugin,
  type ICacheClient,
  type SilentFlowRequest,
} from '@azure/msal-node'
import { PartitionManager } from './partition-manager.ts'
import type { Sessions } from './sessions.ts'

/** As in Microsoft's samples with a distributed cache. */
export class AuthProvider {
  readonly config: Configuration
  readonly cacheClient: ICacheClient
  readonly sessions: Sessions

  constructor(config: Configuration, cacheClient: ICacheClient, sessions: Sessions) {
    this.config = config
    this.cacheClient = cacheClient
    this.sessions = sessions
  }

  getMsalInstance(sessionId: string): ConfidentialClientApplication {
    const partitionManager = new PartitionManager(this.sessions, sessionId)
    const cachePlugin = new DistributedCachePlugin(this.cacheClient, partitionManager)
    return new ConfidentialClientApplication({ ...this.config, cache: { cachePlugin } })
  }

  async getTokenInteractive(request: AuthorizationCodeRequest, sessionId: string) {
    const msalInstance = this.getMsalInstance(sessionId)
    await msalInstance.getTokenCache().getAllAccounts() // loads the cache
    return msalInstance.acquireTokenByCode(request)
  }

  async getTokenSilent(request: SilentFlowRequest, sessionId: string) {
    const msalInstance = this.getMsalInstance(sessionId)
    await msalInstance.getTokenCache().getAllAccounts() // loads the cache
    return msalInstance.acquireTokenSilent(request)
  }
}
