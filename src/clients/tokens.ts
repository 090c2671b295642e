import type { AuthenticationResult } from '@azure/msal-node'
import { report } from '../diagnostics.ts'
import { ConfigurationError, StoreUnavailableError, withStatus } from '../errors.ts'
import type { Ahead, RecordPlugin } from '../kinds/cache-plugin.ts'
import { memoryOf } from '../msal/call-memory.ts'
import type { ClientFactory } from './client-factory.ts'
import { copyOf, type RememberedAnswers } from './remembered-answers.ts'
import { requestKey, SharedCalls } from './shared-calls.ts'

/** A request of any flow, as far as all of them agree. */
interface TokenRequest {
  authority?: string
  correlationId?: string
}

/** The members of a request that do not make MSAL ask the provider, as `claims` and `forceRefresh` do. */
const PLAIN = new Set(['scopes', 'authority', 'tenantId', 'correlationId', 'oboAssertion'])

/** The way of every token, whatever the flow: the store, the remembered answers, MSAL. Equal concurrent calls share it. */
export class Tokens {
  readonly #clients: ClientFactory
  readonly #answers: RememberedAnswers
  readonly #calls = new SharedCalls<AuthenticationResult>()

  constructor(clients: ClientFactory, answers: RememberedAnswers) {
    this.#clients = clients
    this.#answers = answers
  }

  /**
   * @param plugin of the kind of client that the request is for, made for this call
   * @returns the caller's own copy
   */
  async acquire<Request extends TokenRequest>(
    plugin: RecordPlugin<unknown, Request>,
    request: Request,
  ): Promise<AuthenticationResult> {
    const key = requestKey(plugin.question, request)
    const result = await this.#calls.call(
      key,
      () => this.#acquire(plugin, request, key),
      async ({ accessToken }) => holds(await plugin.loadAhead(), accessToken),
    )
    const own = copyOf(result)
    own.correlationId = request.correlationId ?? result.correlationId
    return own
  }

  async #acquire<Request extends TokenRequest>(
    plugin: RecordPlugin<unknown, Request>,
    request: Request,
    key: string | undefined,
  ): Promise<AuthenticationResult> {
    const ahead = await plugin.loadAhead()
    const isPlain = Object.entries(request).every(([name, value]) => PLAIN.has(name) || value === undefined)
    const question = isPlain ? key : undefined
    const known = question === undefined ? undefined : this.#answers.recall(question, ahead)
    if (known !== undefined) return known
    const client = await this.#clients.client(plugin, await plugin.route(this.#clients, request, ahead))
    // MSAL adds to the request that it is given.
    const result = await plugin.ask(client, { ...request }, ahead).catch(async (error: unknown) => {
      await forgetIfRefused(error, plugin, ahead)
      throw withStatus(error)
    })
    if (result === null) {
      throw new ConfigurationError('MSAL returned no token and no error: see docs/troubleshooting.md')
    }
    if (question !== undefined) {
      this.#answers.remember(question, ahead, plugin.account, result, memoryOf(client))
    }
    return result
  }
}

/** Whether MSAL would be shown this token, so that it is a good answer to a call that has just loaded. */
function holds(ahead: Ahead, accessToken: string): boolean {
  return Object.values(ahead.read()?.AccessToken ?? {}).some(({ secret }) => secret === accessToken)
}

/**
 * Whether the provider has refused a refresh token for good (RFC 6749 §5.2, `invalid_grant`): it was revoked, has
 * expired, or is another client's. Entra ID also answers `invalid_grant` if the user only needs to do something, such
 * as to consent or to pass a second factor; there, only `bad_token` is final.
 */
function isRefusedForGood(error: unknown): boolean {
  const { errorCode, subError, errorMessage } = (error ?? {}) as Record<string, unknown>
  if (errorCode === 'bad_token' || subError === 'bad_token') return true
  const isEntra = Boolean(subError) || String(errorMessage).includes('AADSTS')
  return errorCode === 'invalid_grant' && !isEntra
}

/** What was refused for good leaves the store, so that the next call asks the user, and not the provider. */
async function forgetIfRefused(
  error: unknown,
  plugin: Pick<RecordPlugin<unknown, object>, 'forgetRefreshTokens' | 'isAtHome'>,
  ahead: Ahead,
): Promise<void> {
  const shown = isRefusedForGood(error) && plugin.isAtHome ? ahead.read() : undefined
  if (shown === undefined) return
  try {
    await plugin.forgetRefreshTokens(shown)
  } catch (failure) {
    if (!(failure instanceof StoreUnavailableError)) throw failure
    // The call fails with the provider's refusal, and the next one is refused again.
    report('msal-keyv:commit-failed', { error: failure })
  }
}
