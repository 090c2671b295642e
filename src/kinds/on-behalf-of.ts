import type { ConfidentialClientApplication, OnBehalfOfRequest } from '@azure/msal-node'
import { type Assertion, isIssuedBefore, readAssertion } from '../accounts/identity.ts'
import type { TokenSnapshot } from '../accounts/token-records.ts'
import { AccountEvictedError, ConfigurationError } from '../errors.ts'
import { lastUseOf, supersede, withoutExpired } from '../msal/merge.ts'
import { emptyCache, type SerializedCache } from '../msal/schema.ts'
import { isOnBehalfOf, NO_OWNER, splitByOwner } from '../msal/split.ts'
import type { Backing } from './cache-plugin.ts'
import { checkStorable } from './store-sign-in.ts'
import { isRemoval, TokenRecordPlugin, type TokenWrite } from './token-record.ts'

/** Shows MSAL what was acquired on behalf of the bearer of one incoming token. */
export class OnBehalfOfPlugin extends TokenRecordPlugin<OnBehalfOfRequest> {
  protected readonly mayGoUnstored = 'all'
  readonly #assertion: Assertion

  /** @throws {TypeError} when the assertion is not a string */
  constructor(backing: Backing, assertion: string) {
    const read = readAssertion(assertion)
    super(backing, backing.names.assertion(read.hash))
    this.#assertion = read
  }

  /** By its record, and not by the incoming token, which a process need not keep. */
  question() {
    return ['on behalf of', this.key]
  }

  ask(client: ConfidentialClientApplication, request: OnBehalfOfRequest) {
    return askOnBehalfOf(client, request)
  }

  protected override visible(snapshot: TokenSnapshot): string | undefined {
    checkNotEvicted(this.#assertion, snapshot)
    return super.visible(snapshot)
  }

  protected async commit(write: TokenWrite): Promise<SerializedCache> {
    if (isOnBehalfOf(write.acquired)) {
      await this.#store(write)
      return emptyCache()
    }
    if (isRemoval(write) && write.loaded.record !== undefined)
      await this.backing.tokens.delete(write.loaded.record)
    return write.acquired
  }

  async #store({ loaded, shown, acquired }: TokenWrite): Promise<void> {
    const { homeAccountId, tokens } = answerFor(this.#assertion, acquired)
    const isUsers = homeAccountId !== NO_OWNER
    // An answer that does not say whose it is could not be evicted.
    if (!isUsers && !this.#assertion.isAppOnly) return
    if (isUsers) checkStorable(homeAccountId)
    const { accounts } = this.backing
    const generationKey = isUsers ? accounts.generationKeyOf(homeAccountId) : undefined
    const stored = loaded.record?.generationKey === generationKey ? loaded.record : undefined
    const generation = isUsers
      ? await accounts.generationForAssertion(homeAccountId, this.#assertion, stored?.generation)
      : undefined
    const isSame = stored !== undefined && stored.generation === generation
    // MSAL Node never uses a refresh token here: it asks with the assertion again.
    const fresh = { ...tokens, RefreshToken: {} }
    const merged = supersede((isSame ? shown : undefined) ?? emptyCache(), fresh)
    const cache = withoutExpired(merged, Date.now())
    await this.store(
      loaded,
      { generation, generationKey },
      isUsers ? homeAccountId : undefined,
      cache,
      lastUseOf(cache),
    )
  }
}

/** MSAL looks for the token in memory only, and forgets whose it is. */
export async function askOnBehalfOf(client: ConfidentialClientApplication, request: OnBehalfOfRequest) {
  const [account = null] = await client.getTokenCache().getAllAccounts()
  const result = await client.acquireTokenOnBehalfOf(request)
  return result?.fromCache ? { ...result, account: result.account ?? account } : result
}

/** @throws {AccountEvictedError} when the record that was found shows it */
export function checkNotEvicted(assertion: Assertion, { isEnded, current }: TokenSnapshot): void {
  const isKnown = isEnded && current.kind === 'known'
  if (isKnown && isIssuedBefore(assertion, current.evictedAt)) throw new AccountEvictedError()
}

/**
 * The answer to an on-behalf-of request with this assertion, and whose it is.
 * @throws {ConfigurationError} when it is the answer to another
 */
export function answerFor(
  { hash }: Assertion,
  acquired: SerializedCache,
): { homeAccountId: string; tokens: SerializedCache } {
  const answers = Object.values(acquired.AccessToken)
  const [part, ...others] = splitByOwner(acquired)
  const isOurs = answers.every(({ userAssertionHash }) => userAssertionHash === hash)
  if (!isOurs || part === undefined || others.length > 0) {
    throw new ConfigurationError(
      'tokens were acquired on behalf of another user than the bearer of the assertion that the cache plugin was made ' +
        'for, and are not stored: make a client for each incoming token',
    )
  }
  const [homeAccountId, tokens] = part
  return { homeAccountId, tokens }
}
