import type { ICachePlugin, TokenCacheContext } from '@azure/msal-node'
import type { Accounts } from '../accounts/accounts.ts'
import { reportMalformed } from '../diagnostics.ts'
import { ConfigurationError } from '../errors.ts'
import { type Changes, isBeingEmptied, Turn } from '../msal/memory.ts'
import { emptyCache, type Readable, ReadableTexts, type SerializedCache } from '../msal/schema.ts'
import { NO_OWNER, splitByOwner } from '../msal/split.ts'
import type { Release } from '../records/locks.ts'
import { storeSignIn } from './store-sign-in.ts'

const texts = new ReadableTexts()

/** What MSAL did between a write's load and its commit. */
export interface Write<Loaded> extends Changes {
  readonly loaded: Loaded
  /** What MSAL was shown; undefined where that was nothing. */
  readonly shown: SerializedCache | undefined
  /** Whether a load came before it, so that it can be the answer to a request that rests on that. */
  readonly followsLoad: boolean
}

interface BegunWrite<Loaded> {
  readonly turn: Turn
  readonly loaded: Loaded
  readonly shown: SerializedCache | undefined
  readonly unlock: Release
}

/** What was loaded, and what came of reading it, so that it is read once. */
interface Opened<Loaded> {
  readonly loaded: Loaded
  last?: { readonly text: string; readonly readable: Readable | undefined }
}

/** What was loaded ahead of MSAL. */
export interface Ahead {
  /** Equal for two loads that MSAL may see the same of; undefined where that is nothing. */
  fingerprint(): string | undefined
  /** What MSAL will see. */
  read(): SerializedCache | undefined
  /** When the record expires, in epoch milliseconds. */
  expiresAt(): number
}

/**
 * MSAL's two callbacks, once for every kind of client: a load shows MSAL what it may see; a write shows it that again,
 * sees what MSAL makes of it, and commits.
 */
export abstract class CachePlugin<Loaded> implements ICachePlugin {
  protected readonly accounts: Accounts
  readonly #writes = new WeakMap<TokenCacheContext, BegunWrite<Loaded>>()
  /** The contexts that a call began with: MSAL ends a call with the context that it began it with. */
  readonly #begun = new WeakSet<TokenCacheContext>()
  #ahead: Opened<Loaded> | undefined
  /** The loads that no write has followed yet. */
  #loads = 0

  constructor(accounts: Accounts) {
    this.accounts = accounts
  }

  /** The key of the record. It tells nobody whose that is. */
  abstract readonly key: string

  /** For a call that only reads. */
  protected abstract load(): Promise<Loaded>

  /** As {@link load}, with the record's lock. */
  protected abstract loadForWrite(): Promise<{ loaded: Loaded; unlock: Release }>

  /** Equal for two loads that MSAL may see the same of; undefined where that is nothing. */
  protected abstract fingerprintOf(loaded: Loaded): string | undefined

  /** What was loaded, where there is something. */
  protected abstract recordOf(loaded: Loaded): { readonly expiresAt: number } | undefined

  /** What MSAL may see of it, in MSAL's own serialization. Nothing, where this throws. */
  protected abstract visible(loaded: Loaded): string | undefined

  /** Whether what was acquired may stay in MSAL's memory until the next load. */
  protected abstract mayStay(acquired: SerializedCache): boolean

  /** Stores a cache in place of what was loaded, or deletes that where nothing is of use any more. */
  protected abstract replace(loaded: Loaded, cache: SerializedCache): Promise<void>

  /** Stores what belongs in the record. @returns what does not, and may be a sign-in of other accounts */
  protected abstract commit(write: Write<Loaded>): Promise<SerializedCache>

  /** Loads ahead of MSAL's next load, which then takes this. */
  async loadAhead(): Promise<Ahead> {
    const loaded = await this.load()
    const opened = { loaded }
    this.#ahead = opened
    return {
      fingerprint: () => this.fingerprintOf(loaded),
      read: () => this.#readable(opened)?.cache,
      expiresAt: () => this.recordOf(loaded)?.expiresAt ?? 0,
    }
  }

  /**
   * Takes refresh tokens that the provider has refused for good out of the record. Two store calls.
   * @throws {StoreUnavailableError}
   */
  async forgetRefreshTokens(refused: SerializedCache): Promise<void> {
    const secrets = new Set(Object.values(refused.RefreshToken).map(({ secret }) => secret))
    const { loaded, unlock } = await this.loadForWrite()
    try {
      const cache = this.#readable({ loaded })?.cache ?? emptyCache()
      const tokens = Object.entries(cache.RefreshToken)
      const kept = tokens.filter(([, { secret }]) => !secrets.has(secret))
      if (kept.length === tokens.length) return
      await this.replace(loaded, { ...cache, RefreshToken: Object.fromEntries(kept) })
    } finally {
      unlock()
    }
  }

  async beforeCacheAccess(context: TokenCacheContext): Promise<void> {
    this.#begun.add(context)
    if (isBeingEmptied(context)) return
    if (context.cacheHasChanged) return this.#beginWrite(context)
    const opened = this.#ahead ?? { loaded: await this.load() }
    this.#ahead = undefined
    this.#loads++
    const turn = await Turn.take(context)
    try {
      await turn.show((await this.#visible(turn, opened))?.text)
    } finally {
      turn.release()
    }
  }

  async afterCacheAccess(context: TokenCacheContext): Promise<void> {
    const write = this.#writes.get(context)
    // Nothing changed, or the load failed: a context whose load failed never writes (P7).
    if (write === undefined) return this.#checkBegun(context)
    this.#writes.delete(context)
    const { turn, loaded, shown, unlock } = write
    let others: SerializedCache
    try {
      const changes = turn.endWrite()
      if (!this.mayStay(changes.acquired)) await turn.forgetAcquired()
      turn.release()
      const followsLoad = this.#loads > 0
      if (followsLoad) this.#loads--
      others = await this.commit({ ...changes, loaded, shown, followsLoad })
    } finally {
      turn.release()
      unlock()
    }
    for (const [owner, cache] of splitByOwner(others)) {
      // What names an account but brings none is the answer to a refresh, and no sign-in.
      const isSignIn = owner !== NO_OWNER && Object.keys(cache.Account).length > 0
      if (isSignIn) await storeSignIn(this.accounts, owner, cache)
    }
  }

  /** A changed cache would be lost in silence (P13). What came with MSAL's own calls has been seen before. */
  #checkBegun(context: TokenCacheContext): void {
    if (!context.cacheHasChanged || this.#begun.has(context)) return
    throw new ConfigurationError(
      'nothing was stored: afterCacheAccess was called without beforeCacheAccess of the same context. To store a ' +
        'token cache that you have, call importCache(plugin, serialized) of msal-keyv/migrate',
    )
  }

  async #beginWrite(context: TokenCacheContext): Promise<void> {
    const { loaded, unlock } = await this.loadForWrite()
    let turn: Turn | undefined
    try {
      turn = await Turn.take(context)
      const readable = await this.#visible(turn, { loaded })
      await turn.beginWrite(readable?.text)
      this.#writes.set(context, { turn, loaded, shown: readable?.cache, unlock })
    } catch (error) {
      turn?.release()
      unlock()
      throw error
    }
  }

  async #visible(turn: Turn, opened: Opened<Loaded>): Promise<Readable | undefined> {
    try {
      return this.#readable(opened)
    } catch (error) {
      await turn.show(undefined)
      throw error
    }
  }

  #readable(opened: Opened<Loaded>): Readable | undefined {
    const text = this.visible(opened.loaded)
    if (text === undefined) return undefined
    if (opened.last?.text !== text) {
      opened.last = { text, readable: texts.read(text) }
      if (opened.last.readable === undefined) reportMalformed(this.key)
    }
    return opened.last.readable
  }
}
