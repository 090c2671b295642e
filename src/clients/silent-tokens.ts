import type { AccountInfo, AuthenticationResult } from '@azure/msal-node'
import { type AccountRef, type HostSession, type SignInRef, signInRef } from '../accounts/identity.ts'
import type { Core } from '../core.ts'
import { answer, handOut, type Question, question } from './answering.ts'
import { describeAccount, memoryOf } from './call-memory.ts'
import type { ClientFactory } from './client-factory.ts'
import type { Answer, RememberedAnswers } from './remembered-answers.ts'
import type { SilentRequest } from './requests.ts'
import { SharedCalls } from './shared-calls.ts'

/** Acquires tokens of stored accounts. Equal concurrent requests of one account share one. */
export class SilentTokens {
  readonly #core: Core
  readonly #clients: ClientFactory
  readonly #answers: RememberedAnswers
  readonly #calls = new SharedCalls<Answer>()

  constructor(core: Core, clients: ClientFactory, answers: RememberedAnswers) {
    this.#core = core
    this.#clients = clients
    this.#answers = answers
  }

  async acquire(account: HostSession | AccountRef, request: SilentRequest): Promise<AuthenticationResult> {
    const of = signInRef(account)
    const named = { ...request, account: accountInfo(account, of) }
    const asked = question('silent', of.homeAccountId, named, of)
    const given = await this.#calls.call(
      asked.key,
      () => this.#run(asked, of, named),
      async ({ generation }) => generation !== undefined && this.#core.isSignedIn({ ...of, generation }),
    )
    return handOut(given, request)
  }

  #run(asked: Question, of: SignInRef, request: SilentRequest & { account: AccountInfo }): Promise<Answer> {
    const plugin = this.#core.forSignInRef(of)
    return answer(this.#answers, asked, plugin, async () => {
      const cachePlugin = this.#core.withFailurePolicy(plugin, 'refreshes')
      const client = await this.#clients.client(cachePlugin, request.authority)
      const result = await client.acquireTokenSilent(request)
      const memory = memoryOf(client)
      const account = result.account ?? describeAccount(memory, of.homeAccountId, result)
      return { result: { ...result, account }, generation: plugin.generation, memory }
    })
  }
}

/** MSAL looks accounts up by the id alone; what else the host knows of the account narrows it down. */
function accountInfo(account: HostSession | AccountRef, { homeAccountId }: SignInRef): AccountInfo {
  return {
    ...(typeof account === 'object' && !('generation' in account) ? account : {}),
    homeAccountId,
  } as AccountInfo
}
