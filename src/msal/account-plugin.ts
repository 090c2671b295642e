import { isDeepStrictEqual } from 'node:util'
import type { ICachePlugin, TokenCacheContext } from '@azure/msal-node'
import { report, reportMalformed } from '../diagnostics.ts'
import { ConfigurationError } from '../errors.ts'
import type { Release } from '../lock.ts'
import type { Subject } from '../partitions/identity.ts'
import type { AccountSnapshot } from '../partitions/repository.ts'
import type { LinkedPartitions, LinkedSnapshot } from '../sessions/linked-partitions.ts'
import { Memory } from './memory.ts'
import { isOnBehalfOf, mergeCaches, usableUntil, withoutExpired } from './merge.ts'
import { providerSessions } from './provider-sessions.ts'
import {
  countEntities,
  emptyCache,
  isEmpty,
  parseCache,
  type SerializedCache,
  unknownSections,
} from './schema.ts'
import { commitSignIn, storeSignIn } from './sign-in.ts'
import { adoptOwnerless, NO_OWNER, splitByOwner } from './split.ts'

interface Write {
  readonly memory: Memory
  readonly marker: string
  readonly snapshot: LinkedSnapshot
  /** What MSAL was shown; undefined where that was nothing. */
  readonly baseline: SerializedCache | undefined
  readonly endTurn: Release
  readonly unlock: Release
}

/**
 * Shows MSAL one account, of one generation: the host session's, or else that of the first load that found one.
 * Once a later load finds another, it shows an empty cache and writes nothing, for ever (P3): a refresh that began
 * before an eviction cannot write into the sign-in after it.
 */
export class AccountPlugin implements ICachePlugin {
  readonly #partitions: LinkedPartitions
  readonly #homeAccountId: string
  readonly #writes = new WeakMap<TokenCacheContext, Write>()
  #generation: string | undefined
  #evicted = false
  /** The session links that the partition had when it was loaded last: a write renews them. */
  #links: readonly string[] = []

  constructor(partitions: LinkedPartitions, subject: Subject) {
    this.#partitions = partitions
    this.#homeAccountId = subject.homeAccountId
    this.#generation = subject.generation
  }

  /** The one generation that this plugin shows, once it is known. */
  get generation(): string | undefined {
    return this.#generation
  }

  async beforeCacheAccess(context: TokenCacheContext): Promise<void> {
    const memory = new Memory(context)
    if (context.cacheHasChanged) return this.#beginWrite(context, memory)
    const snapshot = await this.#partitions.load(this.#homeAccountId)
    const endTurn = await memory.takeTurn()
    try {
      this.#show(memory, this.#pinned(snapshot))
    } finally {
      endTurn()
    }
  }

  async afterCacheAccess(context: TokenCacheContext): Promise<void> {
    const write = this.#writes.get(context)
    // Nothing changed, or the load failed: a context whose load failed never writes (P7).
    if (write === undefined) return
    this.#writes.delete(context)
    const others = await this.#commit(write)
    for (const [owner, cache] of others) {
      // What names an account but brings none is the answer to a refresh, and no sign-in.
      if (Object.keys(cache.Account).length > 0) await storeSignIn(this.#partitions, owner, cache)
    }
  }

  /** Puts the partition in MSAL's memory, in place of what is there. False where MSAL cannot read it. */
  protected show(memory: Memory, json: string | undefined): boolean {
    return memory.show(json)
  }

  /** What to do with what was acquired for accounts other than the bound one: a sign-in of theirs. */
  protected acceptOthers(others: Map<string, SerializedCache>): Map<string, SerializedCache> {
    return others
  }

  #show(memory: Memory, json: string | undefined): boolean {
    const shown = this.show(memory, json)
    if (!shown) reportMalformed(this.#partitions.keyOf(this.#homeAccountId))
    return shown
  }

  async #beginWrite(context: TokenCacheContext, memory: Memory): Promise<void> {
    const { snapshot, unlock } = await this.#partitions.loadLinked(this.#homeAccountId, this.#links)
    const endTurn = await memory.takeTurn()
    try {
      const json = this.#pinned(snapshot)
      const baseline = this.#show(memory, json) && json !== undefined ? parseCache(json) : undefined
      this.#writes.set(context, { memory, marker: memory.beginWrite(), snapshot, baseline, endTurn, unlock })
    } catch (error) {
      endTurn()
      unlock()
      throw error
    }
  }

  /** The partition's cache if it is of this plugin's generation. */
  #pinned({ partition, current }: AccountSnapshot): string | undefined {
    const found = current.kind === 'known' ? current.id : partition?.generation
    if (this.#generation === undefined) this.#generation = partition?.generation
    else if (current.kind === 'unreadable' || (found !== undefined && found !== this.#generation))
      this.#evicted = true
    if (this.#evicted) return undefined
    this.#links = partition?.sessions ?? []
    return partition?.cache
  }

  /** Commits the account's own part. @returns what was acquired for other accounts */
  async #commit(write: Write): Promise<Map<string, SerializedCache>> {
    const { memory, marker, snapshot, baseline, endTurn, unlock } = write
    try {
      const { all, acquired, intact } = memory.endWrite(marker)
      const onBehalfOf = isOnBehalfOf(acquired)
      memory.forgetAcquired(onBehalfOf ? undefined : this.#homeAccountId)
      endTurn()
      if (onBehalfOf) {
        report('msal-keyv:dropped-entities', { count: countEntities(acquired) })
        return new Map()
      }
      const others = splitByOwner(acquired)
      const ownerless = others.get(NO_OWNER) ?? emptyCache()
      const adopted = baseline === undefined ? emptyCache() : adoptOwnerless(ownerless, this.#homeAccountId)
      const dropped = countEntities(ownerless) - countEntities(adopted)
      if (dropped > 0) report('msal-keyv:dropped-entities', { count: dropped })
      others.delete(NO_OWNER)
      others.delete(this.#homeAccountId)

      const own = mergeCaches(splitByOwner(all).get(this.#homeAccountId) ?? emptyCache(), adopted)
      if (this.#evicted) this.#refuse(own)
      else if (baseline === undefined) await this.#signIn(snapshot, own)
      else await this.#update(snapshot, baseline, own, intact)
      return this.acceptOthers(others)
    } finally {
      endTurn()
      unlock()
    }
  }

  async #update(
    snapshot: LinkedSnapshot,
    baseline: SerializedCache,
    own: SerializedCache,
    intact: boolean,
  ): Promise<void> {
    // MSAL's removeAccount.
    if (intact && isEmpty(own)) {
      await this.#partitions.evict(this.#homeAccountId)
      return
    }
    // Memory that was cleared in between says nothing about what is gone.
    const next = intact ? { ...own, ...unknownSections(baseline) } : mergeCaches(baseline, own)
    const now = Date.now()
    const cache = withoutExpired(next, now)
    if (isDeepStrictEqual(cache, baseline)) return
    const generation = this.#partitions.generationFor(snapshot)
    const expiresAt = usableUntil(cache)
    if (expiresAt > now) {
      const partition = { generation, cache: JSON.stringify(cache), expiresAt }
      await this.#partitions.commitLinked(this.#homeAccountId, snapshot, partition, providerSessions(cache))
    } else {
      await this.#partitions.remove(this.#homeAccountId)
    }
  }

  async #signIn(snapshot: LinkedSnapshot, own: SerializedCache): Promise<void> {
    if (isEmpty(own)) return
    const generation = await commitSignIn(this.#partitions, this.#homeAccountId, snapshot, own, {
      generation: this.#generation,
    })
    this.#generation ??= generation
  }

  /** MSAL itself saves no refresh of an account that it was not shown, so an account here is a new sign-in. */
  #refuse(own: SerializedCache): void {
    report('msal-keyv:refused-write', { key: this.#partitions.keyOf(this.#homeAccountId) })
    if (Object.keys(own.Account).length === 0) return
    throw new ConfigurationError(
      'a sign-in was acquired through a plugin that is bound to an evicted one, and is not stored: ' +
        'sign in through a client whose cachePlugin is the KeyvCachePlugin itself',
    )
  }
}

/** One `runAs` scope: the bound plugin, on a client whose memory other scopes are using. */
export class ScopePlugin extends AccountPlugin {
  readonly #homeAccountId: string
  readonly #memories = new Map<object, Memory>()
  #ended = false

  constructor(partitions: LinkedPartitions, subject: Subject) {
    super(partitions, subject)
    this.#homeAccountId = subject.homeAccountId
  }

  override async beforeCacheAccess(context: TokenCacheContext): Promise<void> {
    this.#checkOpen()
    const memory = new Memory(context)
    if (!this.#memories.has(memory.identity)) {
      this.#memories.set(memory.identity, memory)
      memory.enter(this.#homeAccountId)
    }
    return super.beforeCacheAccess(context)
  }

  /** Leaves nothing of the account in any memory it was shown in, unless another scope still uses it (P12). */
  async end(): Promise<void> {
    this.#ended = true
    for (const memory of this.#memories.values()) {
      const endTurn = await memory.takeTurn()
      memory.leave(this.#homeAccountId)
      endTurn()
    }
  }

  #checkOpen(): void {
    if (this.#ended)
      throw new ConfigurationError('runAs has ended: await every MSAL call inside its callback')
  }

  protected override show(memory: Memory, json: string | undefined): boolean {
    // It may have ended while this was being loaded.
    this.#checkOpen()
    return memory.showAccount(this.#homeAccountId, json)
  }

  protected override acceptOthers(others: Map<string, SerializedCache>): Map<string, SerializedCache> {
    if (others.size === 0) return others
    throw new ConfigurationError(
      'runAs acquired tokens of another account, which are not stored: sign in outside runAs, ' +
        'and ask for a token inside runAs of the account it is for',
    )
  }
}
