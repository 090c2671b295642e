import type { AccountInfo, AuthenticationResult } from '@azure/msal-node'
import { type AccountRef, type HostSession, type SignInRef, signInRef } from '../accounts/identity.ts'
import type { Core } from '../core.ts'
import type { ClientFactory } from './client-factory.ts'
import type { SilentRequest } from './requests.ts'
import { requestKey, SharedCalls } from './shared-calls.ts'
import { describeAccount } from './stored-account.ts'

interface Acquired {
  readonly result: AuthenticationResult
  readonly generation: string | undefined
}

/** Acquires tokens of stored accounts. Equal concurrent requests of one account share one. */
export class SilentTokens {
  readonly #core: Core
  readonly #clients: ClientFactory
  readonly #calls = new SharedCalls<Acquired>()

  constructor(core: Core, clients: ClientFactory) {
    this.#core = core
    this.#clients = clients
  }

  async acquire(account: HostSession | AccountRef, request: SilentRequest): Promise<AuthenticationResult> {
    const of = signInRef(account)
    const info = accountInfo(account, of)
    const { result } = await this.#calls.call(
      requestKey({ ...request, ...of, account: info }),
      () => this.#run(of, info, request),
      async ({ generation }) => generation !== undefined && this.#core.isSignedIn({ ...of, generation }),
    )
    // Shared with others: each caller gets its own, under its own correlation id.
    const { correlationId = result.correlationId } = request
    return { ...result, correlationId, scopes: [...result.scopes] }
  }

  async #run(of: SignInRef, account: AccountInfo, request: SilentRequest): Promise<Acquired> {
    const plugin = this.#core.forSignInRef(of)
    const cachePlugin = this.#core.withFailurePolicy(plugin, 'refreshes')
    const [stored, client] = await Promise.all([
      plugin.loadAhead(),
      this.#clients.client(cachePlugin, request.authority),
    ])
    const acquired = await client.acquireTokenSilent({ ...request, account })
    const found = acquired.account ?? describeAccount(stored, of.homeAccountId, acquired)
    return { result: { ...acquired, account: found }, generation: plugin.generation }
  }
}

/** MSAL looks accounts up by the id alone; what else the host knows of the account narrows it down. */
function accountInfo(account: HostSession | AccountRef, { homeAccountId }: SignInRef): AccountInfo {
  return {
    ...(typeof account === 'object' && !('generation' in account) ? account : {}),
    homeAccountId,
  } as AccountInfo
}
