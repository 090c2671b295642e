import { AccountEvictedError, ConfigurationError } from '../errors.ts'
import { type Assertion, isIssuedBefore } from '../partitions/assertion.ts'
import type { TokenSnapshot } from '../partitions/token-records.ts'
import { isOnBehalfOf, lastUseOf, supersede, withoutExpired } from './merge.ts'
import { emptyCache, type SerializedCache } from './schema.ts'
import { NO_OWNER, splitByOwner } from './split.ts'
import { type Commit, type Repositories, TokenRecordPlugin } from './token-record-plugin.ts'

/** Shows MSAL what was acquired on behalf of the bearer of one incoming token. */
export class AssertionPlugin extends TokenRecordPlugin {
  readonly #assertion: Assertion

  constructor(repositories: Repositories, key: string, assertion: Assertion) {
    super(repositories, key)
    this.#assertion = assertion
  }

  protected override visible(snapshot: TokenSnapshot): string | undefined {
    checkNotEvicted(this.#assertion, snapshot)
    return super.visible(snapshot)
  }

  protected async commit(commit: Commit): Promise<SerializedCache> {
    if (isOnBehalfOf(commit.acquired)) {
      await this.#store(commit)
      return emptyCache()
    }
    if (commit.removed) await this.records.delete(this.key)
    return commit.acquired
  }

  async #store({ snapshot, baseline, acquired }: Commit): Promise<void> {
    const { homeAccountId, tokens } = answerFor(this.#assertion, acquired)
    const isUsers = homeAccountId !== NO_OWNER
    // An answer that does not say whose it is could not be evicted.
    if (!isUsers && !this.#assertion.isAppOnly) return
    const owner = isUsers ? this.records.ownerOf(homeAccountId) : undefined
    const stored = snapshot.record?.owner === owner ? snapshot.record : undefined
    const generation = isUsers
      ? await this.partitions.generationForAssertion(homeAccountId, this.#assertion, stored?.generation)
      : undefined
    const isSame = stored !== undefined && stored.generation === generation
    // MSAL Node never uses a refresh token here: it asks with the assertion again.
    const fresh = { ...tokens, RefreshToken: {} }
    const merged = supersede((isSame ? baseline : undefined) ?? emptyCache(), fresh)
    const cache = withoutExpired(merged, Date.now())
    if (Object.keys(cache.AccessToken).length > 0) {
      const expiresAt = Math.min(snapshot.expiresAt, lastUseOf(cache))
      await this.records.write({ key: this.key, generation, owner, expiresAt, body: JSON.stringify(cache) })
    } else if (snapshot.record !== undefined) {
      await this.records.delete(this.key)
    }
  }
}

/** @throws {AccountEvictedError} when the record that was found shows it */
export function checkNotEvicted(assertion: Assertion, { ended }: TokenSnapshot): void {
  if (ended?.at !== undefined && isIssuedBefore(assertion, ended.at)) throw new AccountEvictedError()
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
      'tokens were acquired on behalf of another than the bearer of the assertion that the cache plugin was made ' +
        'for, and are not stored: make a client for each incoming token',
    )
  }
  const [homeAccountId, tokens] = part
  return { homeAccountId, tokens }
}
