import { isDeepStrictEqual } from 'node:util'
import type { AccountSnapshot, Accounts } from '../accounts/accounts.ts'
import { GenerationPin } from '../accounts/generation-pin.ts'
import type { SignInRef } from '../accounts/identity.ts'
import { report } from '../diagnostics.ts'
import { ConfigurationError } from '../errors.ts'
import { isOnBehalfOf, mergeCaches, usableUntil, withoutExpired } from '../msal/merge.ts'
import { providerSessions } from '../msal/provider-sessions.ts'
import { countEntities, emptyCache, isEmpty, type SerializedCache, unknownSections } from '../msal/schema.ts'
import { adoptOwnerless, divide, isOnlyOf } from '../msal/split.ts'
import { CachePlugin, type Write } from './cache-plugin.ts'
import { commitSignIn } from './store-sign-in.ts'

/** Shows MSAL one account, of one generation; see {@link GenerationPin}. */
export class AccountPlugin extends CachePlugin<AccountSnapshot> {
  protected readonly key: string
  readonly #homeAccountId: string
  readonly #pin: GenerationPin
  /** The links that the partition had when it was loaded last: a write renews them. */
  #links: readonly string[] = []

  constructor(accounts: Accounts, { homeAccountId, generation }: SignInRef) {
    super(accounts)
    this.key = accounts.keyOf(homeAccountId)
    this.#homeAccountId = homeAccountId
    this.#pin = new GenerationPin(generation)
  }

  /** The one generation that this plugin shows, once it is known. */
  get generation(): string | undefined {
    return this.#pin.generation
  }

  protected load() {
    return this.accounts.load(this.#homeAccountId)
  }

  protected loadForWrite() {
    return this.accounts.loadForWrite(this.#homeAccountId, this.#links)
  }

  protected visible({ partition, current }: AccountSnapshot): string | undefined {
    if (!this.#pin.admits(partition?.generation, current)) return undefined
    this.#links = partition?.links ?? []
    return partition?.cache
  }

  protected mayStay(acquired: SerializedCache): boolean {
    return isOnlyOf(this.#homeAccountId, acquired) && !isOnBehalfOf(acquired)
  }

  protected async commit(write: Write<AccountSnapshot>): Promise<SerializedCache> {
    const { loaded, shown, all, acquired } = write
    if (isOnBehalfOf(acquired)) {
      report('msal-keyv:dropped-entities', { count: countEntities(acquired) })
      return emptyCache()
    }
    const { unnamed, others } = divide(acquired, this.#homeAccountId)
    const adopted = shown === undefined ? emptyCache() : adoptOwnerless(unnamed, this.#homeAccountId)
    const dropped = countEntities(unnamed) - countEntities(adopted)
    if (dropped > 0) report('msal-keyv:dropped-entities', { count: dropped })

    const own = mergeCaches(divide(all, this.#homeAccountId).own, adopted)
    if (this.#pin.isEnded) this.#refuse(own)
    else if (shown === undefined) await this.#signIn(loaded, own)
    else await this.#update(write, shown, own)
    return others
  }

  async #update(
    { loaded, isIntact }: Write<AccountSnapshot>,
    shown: SerializedCache,
    own: SerializedCache,
  ): Promise<void> {
    // MSAL's removeAccount.
    if (isIntact && isEmpty(own)) {
      await this.accounts.evict(this.#homeAccountId)
      return
    }
    // Memory that was cleared in between says nothing about what is gone.
    const next = isIntact ? { ...own, ...unknownSections(shown) } : mergeCaches(shown, own)
    const now = Date.now()
    const cache = withoutExpired(next, now)
    if (isDeepStrictEqual(cache, shown)) return
    const expiresAt = usableUntil(cache)
    if (expiresAt > now) {
      const update = {
        generation: this.accounts.generationFor(loaded),
        cache: JSON.stringify(cache),
        expiresAt,
      }
      await this.accounts.commit(this.#homeAccountId, loaded, update, providerSessions(cache))
    } else {
      await this.accounts.remove(this.#homeAccountId)
    }
  }

  async #signIn(loaded: AccountSnapshot, own: SerializedCache): Promise<void> {
    if (isEmpty(own)) return
    const { generation } = this.#pin
    const joined = await commitSignIn(this.accounts, this.#homeAccountId, loaded, own, { generation })
    if (joined !== undefined) this.#pin.join(joined)
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
