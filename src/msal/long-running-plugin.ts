import { AccountEvictedError, ConfigurationError } from '../errors.ts'
import type { Assertion } from '../partitions/assertion.ts'
import type { StoredRecord } from '../partitions/record.ts'
import type { TokenSnapshot } from '../partitions/token-records.ts'
import { answerFor, checkNotEvicted } from './assertion-plugin.ts'
import { isOnBehalfOf, mergeCaches, supersede, usableUntil, withoutExpired } from './merge.ts'
import { emptyCache, hasCredentials, type SerializedCache } from './schema.ts'
import { adoptOwnerless, NO_OWNER, splitByOwner } from './split.ts'
import { type Commit, type Repositories, TokenRecordPlugin } from './token-record-plugin.ts'

/**
 * Shows MSAL what was acquired for one long-running process: begun with an incoming token, and kept up with the
 * refresh token that its answer brought.
 *
 * It belongs to one generation, that of the first record that it shows or writes. Once a later load finds another, it
 * shows an empty cache and writes nothing, for ever (P3).
 */
export class LongRunningPlugin extends TokenRecordPlugin {
  readonly #assertion: Assertion | undefined
  #generation: string | undefined
  #evicted = false

  /** @param assertion that the process begins with, where this client is to begin it */
  constructor(repositories: Repositories, key: string, assertion: Assertion | undefined) {
    super(repositories, key)
    this.#assertion = assertion
  }

  protected override visible(snapshot: TokenSnapshot): string | undefined {
    const { record, ended } = snapshot
    if (this.#generation === undefined) this.#generation = record?.generation
    else if (ended !== undefined || (record !== undefined && record.generation !== this.#generation)) {
      this.#evicted = true
    }
    if (this.#assertion !== undefined) checkNotEvicted(this.#assertion, snapshot)
    return this.#evicted ? undefined : record?.body
  }

  protected async commit(commit: Commit): Promise<SerializedCache> {
    const { snapshot, baseline, acquired, removed } = commit
    if (isOnBehalfOf(acquired)) {
      await this.#begin(commit)
      return emptyCache()
    }
    const { record } = snapshot
    if (baseline === undefined || record === undefined) return acquired
    if (removed) {
      await this.records.delete(this.key)
      return emptyCache()
    }
    const homeAccountId = accountOf(baseline)
    const { own, others } = divide(acquired, homeAccountId)
    if (hasCredentials(own)) await this.#write(snapshot, record, supersede(baseline, own))
    return others
  }

  /** The answer to the on-behalf-of request that the process begins with. */
  async #begin({ snapshot, baseline, acquired }: Commit): Promise<void> {
    if (this.#assertion === undefined) {
      throw new ConfigurationError(
        'forLongRunningProcess has no assertion to begin with, and the tokens are not stored: pass it the incoming ' +
          'token where acquireTokenOnBehalfOf is called',
      )
    }
    const { homeAccountId, tokens } = answerFor(this.#assertion, acquired)
    if (homeAccountId === NO_OWNER) return
    const owner = this.records.ownerOf(homeAccountId)
    if (snapshot.record !== undefined && snapshot.record.owner !== owner) {
      throw new ConfigurationError(
        'the session key belongs to a process of another account: make a new one for each process',
      )
    }
    const generation = await this.partitions.generationForAssertion(
      homeAccountId,
      this.#assertion,
      snapshot.record?.generation ?? this.#generation,
    )
    if (this.#evicted) throw new AccountEvictedError()
    this.#generation ??= generation
    const base = snapshot.record?.generation === generation ? baseline : undefined
    await this.#write(snapshot, { generation, owner }, supersede(base ?? emptyCache(), tokens))
  }

  async #write(
    { expiresAt }: TokenSnapshot,
    { generation, owner }: Pick<StoredRecord, 'generation' | 'owner'>,
    tokens: SerializedCache,
  ): Promise<void> {
    const now = Date.now()
    const cache = withoutExpired(tokens, now)
    const end = Math.min(expiresAt, usableUntil(cache))
    if (end > now) {
      const body = JSON.stringify(cache)
      await this.records.write({ key: this.key, generation, owner, expiresAt: end, body })
    } else {
      await this.records.delete(this.key)
    }
  }
}

/** What a refresh brought for the account of the process, also where the answer does not name it. */
function divide(
  acquired: SerializedCache,
  homeAccountId: string,
): { own: SerializedCache; others: SerializedCache } {
  const parts = splitByOwner(acquired)
  const named = parts.get(homeAccountId) ?? emptyCache()
  const unnamed = parts.get(NO_OWNER) ?? emptyCache()
  parts.delete(homeAccountId)
  parts.delete(NO_OWNER)
  return {
    own: mergeCaches(named, adoptOwnerless(unnamed, homeAccountId)),
    others: [...parts.values()].reduce(mergeCaches, emptyCache()),
  }
}

function accountOf(cache: SerializedCache): string {
  const [owner = NO_OWNER] = splitByOwner(cache).keys()
  return owner
}
