import { setTimeout as delay } from 'node:timers/promises'
import type { AuthenticationResult } from '@azure/msal-node'
import { report } from '../diagnostics.ts'
import { ConfigurationError, StoreUnavailableError, withStatus } from '../errors.ts'
import type { Ahead, RecordPlugin } from '../kinds/cache-plugin.ts'
import { memoryOf } from '../msal/call-memory.ts'
import { Locks } from '../records/locks.ts'
import type { ClientFactory } from './client-factory.ts'
import { copyOf, RENEWAL_OFFSET, type RememberedAnswers } from './remembered-answers.ts'
import { requestKey, SharedCalls } from './shared-calls.ts'

/** A request of any flow, as far as all of them agree. */
interface TokenRequest {
  authority?: string
  correlationId?: string
}

/** The members of a request that do not make MSAL ask the provider, as `claims` and `forceRefresh` do. */
const PLAIN = new Set(['scopes', 'authority', 'tenantId', 'correlationId', 'oboAssertion'])

/** When to look again after a refusal, in milliseconds after the last look. */
const LOOKS = [0, 100, 300]
/** How often a call asks the provider: each time with another refresh token. */
const MOST_ATTEMPTS = 5
/** How long a refresh waits for another one of the same record, in milliseconds. */
const PATIENCE = 10_000

/** The way of every token, whatever the flow: the store, the remembered answers, MSAL. Equal concurrent calls share it. */
export class Tokens {
  readonly #clients: ClientFactory
  readonly #answers: RememberedAnswers
  readonly #calls = new SharedCalls<AuthenticationResult>()
  /** Refreshes of one record whose refresh tokens work once, one after the other. */
  readonly #refreshes = new Locks<string>(new Map())

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
    const key = requestKey(plugin.question(), request)
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
    const takesTurn = refreshTokensThatWorkOnce(ahead).length > 0 && !mayHit(ahead, request, isPlain)
    if (!takesTurn) return this.#ask(plugin, request, ahead, question)
    const done = await this.#refreshes.acquire(plugin.key, PATIENCE)
    try {
      // Whoever had the turn before has stored another refresh token.
      return await this.#ask(plugin, request, await plugin.loadAhead(), question)
    } finally {
      done()
    }
  }

  async #ask<Request extends TokenRequest>(
    plugin: RecordPlugin<unknown, Request>,
    request: Request,
    ahead: Ahead,
    question: string | undefined,
    attempts = MOST_ATTEMPTS,
  ): Promise<AuthenticationResult> {
    const client = await this.#clients.client(plugin, await plugin.route(this.#clients, request, ahead))
    let result: AuthenticationResult | null
    try {
      // MSAL adds to the request that it is given.
      result = await plugin.ask(client, { ...request }, ahead)
    } catch (error) {
      const refused = isRefusedForGood(error) && plugin.isAtHome ? refreshTokens(ahead) : []
      const again = refused.length === 0 ? undefined : await afterRefusal(plugin, refused)
      if (again === undefined || attempts === 1) throw withStatus(error)
      return this.#ask(plugin, request, again, question, attempts - 1)
    }
    if (result === null) {
      throw new ConfigurationError('MSAL returned no token and no error: see docs/troubleshooting.md')
    }
    if (question !== undefined) this.#answers.remember(question, ahead, result, memoryOf(client))
    return result
  }
}

/**
 * What to ask with after a refusal: somebody else may have used a refresh token that works once, and have stored the next
 * one by now, or be about to. If nobody has, it was refused for good, and is not shown to MSAL any more.
 */
async function afterRefusal(
  plugin: Pick<RecordPlugin<unknown, object>, 'loadAhead' | 'refuse'>,
  refused: readonly string[],
): Promise<Ahead | undefined> {
  try {
    for (const wait of LOOKS) {
      await delay(wait)
      const ahead = await plugin.loadAhead()
      const tokens = refreshTokens(ahead)
      if (tokens.some((token) => !refused.includes(token))) return ahead
      // It was evicted, or refused by somebody else's call.
      if (tokens.length === 0) return undefined
    }
    await plugin.refuse(refused)
  } catch (failure) {
    if (!(failure instanceof StoreUnavailableError)) throw failure
    // The call fails with the provider's refusal, and the next one is refused again.
    report('msal-keyv:commit-failed', { error: failure })
  }
  return undefined
}

function refreshTokens(ahead: Ahead): string[] {
  return Object.values(ahead.read()?.RefreshToken ?? {}).map(({ secret }) => secret)
}

/** Of Microsoft's clouds, whose refresh tokens stay good when they have been used. */
const MICROSOFT =
  /(?:^|\.)(?:microsoftonline\.(?:com|us|de)|partner\.microsoftonline\.cn|(?:b2clogin|ciamlogin|microsoft)\.com|windows\.net|chinacloudapi\.cn)$/

function refreshTokensThatWorkOnce(ahead: Ahead): string[] {
  return Object.values(ahead.read()?.RefreshToken ?? {})
    .filter(({ environment }) => !MICROSOFT.test(environment))
    .map(({ secret }) => secret)
}

/** Whether MSAL may find what was asked for. A guess: at worst, a call waits for nothing, or is refused and looks again. */
function mayHit(ahead: Ahead, request: object, isPlain: boolean): boolean {
  const { scopes = [] } = request as { scopes?: readonly string[] }
  const soon = Date.now() / 1000 + RENEWAL_OFFSET
  return (
    isPlain &&
    Object.values(ahead.read()?.AccessToken ?? {}).some(({ target, expires_on }) => {
      const granted = new Set(target.toLowerCase().split(' '))
      return Number(expires_on) > soon && scopes.every((scope) => granted.has(String(scope).toLowerCase()))
    })
  )
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
