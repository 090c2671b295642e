import type { AccountInfo, AuthenticationResult, OnBehalfOfRequest } from '@azure/msal-node'
import type { Core } from '../core.ts'
import { ConfigurationError } from '../errors.ts'
import { answer, handOut, question } from './answering.ts'
import { memoryOf } from './call-memory.ts'
import type { ClientFactory } from './client-factory.ts'
import type { RememberedAnswers } from './remembered-answers.ts'
import type { AppTokenRequest, SilentRequest } from './requests.ts'

/** Acquires tokens that are kept apart from the accounts: an application's own, and those on behalf of a caller. */
export class ApiTokens {
  readonly #core: Core
  readonly #clients: ClientFactory
  readonly #answers: RememberedAnswers

  constructor(core: Core, clients: ClientFactory, answers: RememberedAnswers) {
    this.#core = core
    this.#clients = clients
    this.#answers = answers
  }

  async byClientCredential({ tenantId, ...request }: AppTokenRequest): Promise<AuthenticationResult> {
    if ('authority' in request) {
      throw new ConfigurationError(
        'authority must be left out: tenantId decides whose resources the token is for',
      )
    }
    const plugin = this.#core.forApp(tenantId)
    const asked = question('app', '', request, tenantId)
    const given = await answer(this.#answers, asked, plugin, async () => {
      const cachePlugin = this.#core.withFailurePolicy(plugin, 'all')
      const client = await this.#clients.client(cachePlugin, this.#clients.authorityOf(tenantId))
      const result = answered(await client.acquireTokenByClientCredential({ ...request }))
      return { result, memory: memoryOf(client) }
    })
    return handOut(given, request)
  }

  async onBehalfOf(request: OnBehalfOfRequest): Promise<AuthenticationResult> {
    const plugin = this.#core.forAssertion(request.oboAssertion)
    const { oboAssertion: _, ...others } = request
    // By its record, and not by the incoming token, which a process need not keep.
    const asked = question('on behalf of', '', others, plugin.key)
    const given = await answer(this.#answers, asked, plugin, async () => {
      const cachePlugin = this.#core.withFailurePolicy(plugin, 'all')
      const client = await this.#clients.client(cachePlugin, request.authority)
      // MSAL looks for the token in memory only, and forgets whose it is. It also adds to the request.
      const [account = null] = await client.getTokenCache().getAllAccounts()
      const result = answered(await client.acquireTokenOnBehalfOf({ ...request }))
      const described = result.fromCache ? { ...result, account: result.account ?? account } : result
      return { result: described, memory: memoryOf(client) }
    })
    return handOut(given, request)
  }

  async inLongRunningProcess(
    sessionKey: string,
    { oboAssertion, ...request }: SilentRequest & { oboAssertion?: string | undefined },
  ): Promise<AuthenticationResult> {
    const plugin = this.#core.forLongRunningProcess(sessionKey, oboAssertion)
    const cachePlugin = this.#core.withFailurePolicy(plugin, 'refreshes')
    if (oboAssertion !== undefined) {
      const client = await this.#clients.client(cachePlugin, request.authority)
      // MSAL looks for the token in memory only.
      await client.getTokenCache().getAllAccounts()
      return answered(await client.acquireTokenOnBehalfOf({ ...request, oboAssertion }))
    }
    const asked = question('long-running', '', request, plugin.key)
    const given = await answer(this.#answers, asked, plugin, async (ahead) => {
      const client = await this.#clients.client(cachePlugin, request.authority)
      const [known] = Object.values(ahead.read()?.Account ?? {})
      const account = { homeAccountId: known?.home_account_id ?? '' } as AccountInfo
      const result = await client.acquireTokenSilent({ ...request, account })
      return { result, memory: memoryOf(client) }
    })
    return handOut(given, request)
  }
}

function answered(result: AuthenticationResult | null): AuthenticationResult {
  if (result === null)
    throw new ConfigurationError('MSAL returned no token and no error: see docs/troubleshooting.md')
  return result
}
