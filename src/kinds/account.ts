import { isDeepStrictEqual } from 'node:util'
import type { AccountInfo, ConfidentialClientApplication, SilentFlowRequest } from '@azure/msal-node'
import type { AccountSnapshot } from '../accounts/accounts.ts'
import { GenerationPin } from '../accounts/generation.ts'
import { type AccountRef, type HostSession, type SignInRef, signInRef } from '../accounts/identity.ts'
import type { ProviderSession } from '../accounts/links.ts'
import { report } from '../diagnostics.ts'
import { ConfigurationError } from '../errors.ts'
import { describeAccount, memoryOf } from '../msal/call-memory.ts'
import { mergeCaches, supersede, usableUntil, withoutExpired } from '../msal/merge.ts'
import {
  countEntities,
  emptyCache,
  isEmpty,
  providerSessions,
  type SerializedCache,
  unknownSections,
} from '../msal/schema.ts'
import { adoptOwnerless, divide, isOnBehalfOf, isOnlyOf } from '../msal/split.ts'
import { type Backing, RecordPlugin, type Write } from './cache-plugin.ts'
import { commitSignIn } from './store-sign-in.ts'

/** MSAL's request without `account`, which is the first argument. */
export type SilentRequest = Omit<SilentFlowRequest, 'account'>

/** Shows MSAL one account, of one generation; see {@link GenerationPin}. */
export class AccountPlugin extends RecordPlugin<AccountSnapshot, SilentRequest> {
  protected readonly mayGoUnstored = 'refreshes'
  readonly #of: SignInRef
  readonly #info: AccountInfo
  readonly #pin: GenerationPin
  /** What is behind the links that the partition named when it was loaded last: a write renews them. */
  #behindLinks: readonly string[] = []

  /** @throws {TypeError} for an account that cannot be one */
  constructor(backing: Backing, account: HostSession | AccountRef) {
    super(backing)
    this.#of = signInRef(account)
    // MSAL looks an account up by its id alone; what else the host knows of it narrows that down.
    const info = typeof account === 'object' && !('generation' in account) ? account : {}
    this.#info = { ...info, homeAccountId: this.#of.homeAccountId } as AccountInfo
    this.#pin = new GenerationPin(this.#of.generation)
  }

  get key(): string {
    return this.backing.accounts.keyOf(this.#of.homeAccountId)
  }

  get account(): string {
    return this.#of.homeAccountId
  }

  get question() {
    return ['silent', this.#of, this.#info]
  }

  async ask(client: ConfidentialClientApplication, request: SilentRequest) {
    const result = await client.acquireTokenSilent({ ...request, account: this.#info })
    if (result.account !== null) return result
    return { ...result, account: describeAccount(memoryOf(client), this.account, result) }
  }

  protected load() {
    return this.backing.accounts.load(this.#of)
  }

  protected loadForWrite() {
    return this.backing.accounts.loadForWrite(this.#of, this.#behindLinks)
  }

  protected fingerprintOf({ fingerprint }: AccountSnapshot): string | undefined {
    return fingerprint
  }

  protected recordOf({ partition }: AccountSnapshot) {
    return partition
  }

  protected visible({ partition, current, isSessionEnded }: AccountSnapshot): string | undefined {
    if (isSessionEnded) this.#pin.end()
    if (!this.#pin.admits(partition?.generation, current)) return undefined
    this.#behindLinks = this.backing.accounts.keysBehind(this.#of.homeAccountId, partition?.links ?? [])
    return partition?.cache
  }

  protected mayStay(acquired: SerializedCache): boolean {
    return isOnlyOf(this.#of.homeAccountId, acquired) && !isOnBehalfOf(acquired)
  }

  protected async commit(write: Write<AccountSnapshot>): Promise<SerializedCache> {
    const { loaded, shown, all, acquired, followsLoad } = write
    if (isOnBehalfOf(acquired)) {
      report('msal-keyv:dropped-entities', { count: countEntities(acquired) })
      return emptyCache()
    }
    const { homeAccountId } = this.#of
    const { unnamed, others } = divide(acquired, homeAccountId)
    // Only the answer to this account's own refresh, which a load came before, can be the account's without saying so.
    const mayAdopt = followsLoad && shown !== undefined && Object.keys(shown.RefreshToken).length > 0
    const adopted = mayAdopt ? adoptOwnerless(unnamed, homeAccountId) : emptyCache()
    const dropped = countEntities(unnamed) - countEntities(adopted)
    if (dropped > 0) report('msal-keyv:dropped-entities', { count: dropped })

    const own = supersede(
      divide(all, homeAccountId).own,
      mergeCaches(divide(acquired, homeAccountId).own, adopted),
    )
    if (this.#pin.isEnded) this.#refuse(own)
    else if (shown === undefined) await this.#signIn(loaded, own, followsLoad)
    else await this.#update(write, shown, own)
    return others
  }

  async #update(
    { loaded, isIntact, hasChanged }: Write<AccountSnapshot>,
    shown: SerializedCache,
    own: SerializedCache,
  ): Promise<void> {
    const { homeAccountId } = this.#of
    // MSAL's removeAccount.
    if (isIntact && isEmpty(own)) {
      await this.backing.accounts.evict([homeAccountId])
      return
    }
    if (isIntact && !hasChanged) throw nothingDone()
    // Memory that was cleared in between says nothing about what is gone.
    const next = isIntact ? { ...own, ...unknownSections(shown) } : supersede(shown, own)
    const cache = withoutExpired(next, Date.now())
    if (!isDeepStrictEqual(cache, shown)) await this.replace(loaded, cache)
  }

  protected async replace(loaded: AccountSnapshot, cache: SerializedCache): Promise<void> {
    const { homeAccountId } = this.#of
    const expiresAt = usableUntil(cache)
    if (expiresAt > Date.now()) {
      const update = {
        generation: this.backing.accounts.generationFor(loaded),
        cache: JSON.stringify(cache),
        expiresAt,
      }
      const refreshing = this.#of
      await this.backing.accounts.commit(homeAccountId, loaded, update, {
        sessions: this.#sessions(cache),
        refreshing,
      })
    } else {
      await this.backing.accounts.remove(homeAccountId)
    }
  }

  /** Those of the ID tokens, and the host's own, which somebody else's write may have displaced. */
  #sessions(cache: SerializedCache): ProviderSession[] {
    const sessions = providerSessions(cache)
    const { sid } = this.#of
    if (sid === undefined || sessions.some((each) => each.sid === sid)) return sessions
    return [
      ...sessions,
      ...sessions.map(({ issuer, sid: named }) =>
        named === undefined ? { issuer, sessionState: sid } : { issuer, sid },
      ),
    ]
  }

  async #signIn(loaded: AccountSnapshot, own: SerializedCache, followsLoad: boolean): Promise<void> {
    if (isEmpty(own)) {
      // A refresh would have shown its refresh token before: this was removeAccount, of what cannot be read here.
      if (loaded.isUnreadable && !followsLoad) throw nothingDone()
      return
    }
    const { generation } = this.#pin
    const joined = await commitSignIn(this.backing.accounts, this.#of.homeAccountId, loaded, own, {
      generation,
    })
    if (joined !== undefined) this.#pin.join(joined.generation)
  }

  /** MSAL itself saves no refresh of an account that it was not shown, so an account here is a new sign-in. */
  #refuse(own: SerializedCache): void {
    report('msal-keyv:refused-write', { key: this.key })
    if (Object.keys(own.Account).length === 0) return
    throw new ConfigurationError(
      'a sign-in was acquired through a plugin that is bound to an evicted one, and is not stored: ' +
        'sign in through a client whose cachePlugin is the KeyvCachePlugin itself',
    )
  }
}

function nothingDone(): ConfigurationError {
  return new ConfigurationError(
    'nothing was removed or stored: MSAL removes an account only as getAllAccounts returned it, and only where the ' +
      'record can be read; call plugin.evictAccount(homeAccountId) instead. acquireTokenByRefreshToken needs ' +
      'forceCache: true',
  )
}
