import type { AccountInfo, AuthenticationResult } from '@azure/msal-node'
import { AccountPlugin } from '../msal/account-plugin.ts'
import { requestKey, SharedCalls } from '../msal/shared-calls.ts'
import { describeAccount } from '../msal/stored-account.ts'
import type { AccountRef, HostSession, Subject } from '../partitions/identity.ts'
import { internalsOf, type KeyvCachePlugin } from '../plugin.ts'
import type { ClientFactory } from './client-factory.ts'
import { namedAccount } from './named-account.ts'
import type { SilentRequest } from './requests.ts'

interface Acquired {
  readonly result: AuthenticationResult
  readonly generation: string | undefined
}

/** Acquires tokens of stored accounts. Equal concurrent requests of one account share one. */
export class SilentTokens {
  readonly #plugin: KeyvCachePlugin
  readonly #clients: ClientFactory
  readonly #calls = new SharedCalls<Acquired>()

  constructor(plugin: KeyvCachePlugin, clients: ClientFactory) {
    this.#plugin = plugin
    this.#clients = clients
  }

  async acquire(account: HostSession | AccountRef, request: SilentRequest): Promise<AuthenticationResult> {
    const subject = namedAccount(account)
    const info = accountInfo(account, subject)
    const { result } = await this.#calls.call(
      requestKey({ ...request, ...subject, account: info }),
      () => this.#run(subject, info, request),
      async ({ generation }) =>
        generation !== undefined &&
        this.#plugin.isSignedIn({ homeAccountId: subject.homeAccountId, generation }),
    )
    // Shared with others: each caller gets its own, under its own correlation id.
    const { correlationId = result.correlationId } = request
    return { ...result, correlationId, scopes: [...result.scopes] }
  }

  async #run(subject: Subject, account: AccountInfo, request: SilentRequest): Promise<Acquired> {
    const { partitions, withFailurePolicy } = internalsOf(this.#plugin)
    const plugin = new AccountPlugin(partitions, subject)
    const client = await this.#clients.client(withFailurePolicy(plugin, 'refreshes'), request.authority)
    const acquired = await client.acquireTokenSilent({ ...request, account })
    const found = acquired.account ?? describeAccount(client, subject.homeAccountId, acquired)
    return { result: { ...acquired, account: found }, generation: plugin.generation }
  }
}

/** MSAL looks accounts up by the id alone; what else the host knows of the account narrows it down. */
function accountInfo(account: HostSession | AccountRef, { homeAccountId }: Subject): AccountInfo {
  return {
    ...(typeof account === 'object' && !('generation' in account) ? account : {}),
    homeAccountId,
  } as AccountInfo
}
