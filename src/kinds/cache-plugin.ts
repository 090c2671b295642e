import type {
  AuthenticationResult,
  ConfidentialClientApplication,
  ICachePlugin,
  TokenCacheContext,
} from '@azure/msal-node'
import type { Accounts } from '../accounts/accounts.ts'
import type { Origin } from '../accounts/origin.ts'
import type { TokenRecords } from '../accounts/token-records.ts'
import { report, reportMalformed } from '../diagnostics.ts'
import { ConfigurationError, StoreUnavailableError } from '../errors.ts'
import { type Authorities, type Authority, authorityIn } from '../msal/authority.ts'
import { type Changes, holdsAccount, isBeingEmptied, Turn } from '../msal/memory.ts'
import {
  emptyCache,
  isEmpty,
  Readable,
  ReadableTexts,
  type SerializedCache,
  withoutRefused,
} from '../msal/schema.ts'
import { NO_OWNER, splitByOwner } from '../msal/split.ts'
import type { Settings } from '../options.ts'
import type { KeyNames } from '../records/key-names.ts'
import type { Release } from '../records/locks.ts'
import { storeSignIn } from './store-sign-in.ts'

const texts = new ReadableTexts()

/** What all plugins of one `KeyvCachePlugin` share. */
export interface Backing extends Pick<Settings, 'clientId' | 'onCommitFailure'> {
  readonly names: KeyNames
  readonly accounts: Accounts
  readonly tokens: TokenRecords
}

/** What MSAL did between a write's load and its commit. */
export interface Write<Loaded> extends Changes {
  readonly loaded: Loaded
  /** What MSAL was shown; undefined if that was nothing. */
  readonly shown: SerializedCache | undefined
  /** Whether a load came before it, so that it can be the answer to a request that rests on that. */
  readonly followsLoad: boolean
}

interface BegunWrite<Loaded> {
  readonly turn: Turn
  readonly unlock: Release
  /** What was loaded and shown, or how the store failed. */
  readonly found: Pick<Write<Loaded>, 'loaded' | 'shown'> | StoreUnavailableError
  /** Whether the caller gets what was acquired although the store failed. */
  readonly mayFail: boolean
}

/** What was loaded, and what came of reading it, so that it is read once. */
interface Opened<Loaded> {
  readonly loaded: Loaded
  last?: { readonly text: string; readonly readable: Readable | undefined }
}

/** What was loaded ahead of MSAL. */
export interface Ahead {
  /** Equal when MSAL would be shown the same; undefined when it would be shown nothing. */
  fingerprint(): string | undefined
  /** What MSAL will be shown. */
  read(): SerializedCache | undefined
  /** When the record expires, in epoch milliseconds. */
  expiresAt(): number
  /** Where its tokens come from. */
  origin(): Origin | undefined
  /** The key of the generation record of the account whose eviction ends it; empty for an application's own. */
  owner(): string
}

/**
 * MSAL's two callbacks, once for every kind of client: a load shows MSAL what it may see; a write shows it that again,
 * sees what MSAL makes of it, and commits.
 */
export abstract class CachePlugin<Loaded> implements ICachePlugin {
  protected readonly backing: Backing
  readonly #writes = new WeakMap<TokenCacheContext, BegunWrite<Loaded>>()
  /** The contexts that a call began with: MSAL ends a call with the context that it began it with. */
  readonly #begun = new WeakSet<TokenCacheContext>()
  #ahead: Opened<Loaded> | undefined
  #authority: Authority | undefined
  /** By a caller that knows more of it than MSAL's memory tells. */
  #isTold = false
  /** The loads that no write has followed yet. */
  #loads = 0

  constructor(backing: Backing) {
    this.backing = backing
  }

  /** The authority that MSAL asks; undefined before that is known. */
  protected get authority(): Authority | undefined {
    return this.#authority
  }

  /** The client that this is the plugin of asks this authority. */
  asks(authority: Authority): void {
    this.#authority = authority
    this.#isTold = true
  }

  /** The key of the record. It does not tell whose that is. */
  abstract readonly key: string

  /**
   * What `onCommitFailure: 'report'` concerns: all that is acquired, only what replaces something of an account that
   * MSAL was shown, or nothing, since a sign-in that is not stored has failed.
   */
  protected abstract readonly mayGoUnstored: 'all' | 'refreshes' | 'nothing'

  /** For a call that only reads. */
  protected abstract load(): Promise<Loaded>

  /** As {@link load}, with the record's lock. */
  protected abstract loadForWrite(): Promise<{ loaded: Loaded; unlock: Release }>

  /** What MSAL may see of it, in MSAL's own serialization. Nothing, if this throws. */
  protected abstract visible(loaded: Loaded): string | undefined

  /** The digests of refresh tokens that MSAL is not shown, since their provider has refused them. */
  protected refusedIn(_loaded: Loaded): readonly string[] {
    return []
  }

  /** Whether what was acquired may stay in MSAL's memory until the next load. */
  protected abstract mayStay(acquired: SerializedCache): boolean

  /** Stores what belongs in the record. @returns what does not, and may be a sign-in of other accounts */
  protected abstract commit(write: Write<Loaded>): Promise<SerializedCache>

  async beforeCacheAccess(context: TokenCacheContext): Promise<void> {
    this.#begun.add(context)
    if (isBeingEmptied(context)) return
    if (!this.#isTold) this.#authority = authorityIn(context) ?? this.#authority
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
    const { turn, unlock } = write
    let acquired = emptyCache()
    try {
      const changes = turn.endWrite()
      acquired = changes.acquired
      const others = await this.#endWrite(write, changes)
      unlock()
      await this.#storeSignIns(others)
    } catch (error) {
      // Without anything acquired it was MSAL's removeAccount.
      const mayFail = write.mayFail && !isEmpty(acquired) && error instanceof StoreUnavailableError
      if (!mayFail) throw error
      report('msal-keyv:commit-failed', { error })
    } finally {
      turn.release()
      unlock()
    }
  }

  async #beginWrite(context: TokenCacheContext): Promise<void> {
    const { mayGoUnstored, backing } = this
    const reports = backing.onCommitFailure === 'report' && mayGoUnstored !== 'nothing'
    const loading = await this.loadForWrite().catch((error: unknown) => {
      if (reports && error instanceof StoreUnavailableError) return error
      throw error
    })
    const unlock = loading instanceof StoreUnavailableError ? () => {} : loading.unlock
    let turn: Turn | undefined
    try {
      turn = await Turn.take(context)
      const found = await this.#show(turn, loading)
      const mayFail = reports && (mayGoUnstored === 'all' || holdsAccount(context))
      this.#writes.set(context, { turn, unlock, found, mayFail })
    } catch (error) {
      turn?.release()
      unlock()
      throw error
    }
  }

  async #show(
    turn: Turn,
    loading: Pick<Opened<Loaded>, 'loaded'> | StoreUnavailableError,
  ): Promise<BegunWrite<Loaded>['found']> {
    if (loading instanceof StoreUnavailableError) {
      turn.watch()
      return loading
    }
    const { loaded } = loading
    const readable = await this.#visible(turn, { loaded })
    await turn.beginWrite(readable?.text)
    return { loaded, shown: readable?.cache }
  }

  async #endWrite({ turn, found }: BegunWrite<Loaded>, changes: Changes): Promise<SerializedCache> {
    const isLost = found instanceof StoreUnavailableError
    if (isLost || !this.mayStay(changes.acquired)) await turn.forgetAcquired()
    turn.release()
    const followsLoad = this.#loads > 0
    if (followsLoad) this.#loads--
    if (isLost) throw found
    return this.commit({ ...changes, ...found, followsLoad })
  }

  async #storeSignIns(acquired: SerializedCache): Promise<void> {
    for (const [owner, cache] of splitByOwner(acquired)) {
      // What names an account but brings none is the answer to a refresh, and no sign-in.
      const isSignIn = owner !== NO_OWNER && Object.keys(cache.Account).length > 0
      if (isSignIn) await storeSignIn(this.backing.accounts, owner, cache, { authority: this.#authority })
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

  async #visible(turn: Turn, opened: Opened<Loaded>): Promise<Readable | undefined> {
    try {
      return this.readable(opened)
    } catch (error) {
      await turn.show(undefined)
      throw error
    }
  }

  #withoutRefused(readable: Readable, loaded: Loaded): Readable {
    const refused = this.refusedIn(loaded)
    if (refused.length === 0) return readable
    const cache = withoutRefused(readable.cache, refused)
    return cache === readable.cache ? readable : new Readable(JSON.stringify(cache), cache)
  }

  protected async openAhead(): Promise<Opened<Loaded>> {
    this.#ahead = { loaded: await this.load() }
    return this.#ahead
  }

  protected readable(opened: Opened<Loaded>): Readable | undefined {
    const text = this.visible(opened.loaded)
    if (text === undefined) return undefined
    if (opened.last?.text !== text) {
      const readable = texts.read(text)
      if (readable === undefined) reportMalformed(this.key)
      opened.last = { text, readable: readable && this.#withoutRefused(readable, opened.loaded) }
    }
    return opened.last.readable
  }
}

/** A kind of client that acquires tokens, and keeps them in one record. */
export abstract class RecordPlugin<Loaded, Request extends object> extends CachePlugin<Loaded> {
  /** Equal when MSAL would be shown the same; undefined when it would be shown nothing. */
  protected abstract fingerprintOf(loaded: Loaded): string | undefined

  /** What was loaded, if there is something. */
  protected abstract recordOf(loaded: Loaded): { readonly expiresAt: number } | undefined

  /** Where the tokens of what was loaded come from. */
  protected abstract originOf(loaded: Loaded): Origin | undefined

  /** The key of the generation record of the account whose eviction ends an answer; empty for an application's own. */
  protected abstract ownerOf(loaded: Loaded): string

  /** The authority to ask, which {@link asks} is told of. */
  abstract route(authorities: Authorities, request: Request, ahead: Ahead): Promise<string>

  /** Whether a refusal says something of the refresh token: not where it was presented in another tenant than its own. */
  get isAtHome(): boolean {
    return true
  }

  /** All that can change the answer to a request, beside the request: the kind of client, and whose tokens it is for. */
  abstract question(): unknown

  /**
   * MSAL's call.
   * @param client that has this plugin
   */
  abstract ask(
    client: ConfidentialClientApplication,
    request: Request,
    ahead: Ahead,
  ): Promise<AuthenticationResult | null>

  /** Loads ahead of MSAL's next load, which then takes this. */
  async loadAhead(): Promise<Ahead> {
    const opened = await this.openAhead()
    const { loaded } = opened
    return {
      fingerprint: () => this.fingerprintOf(loaded),
      read: () => this.readable(opened)?.cache,
      expiresAt: () => this.recordOf(loaded)?.expiresAt ?? 0,
      origin: () => this.originOf(loaded),
      owner: () => this.ownerOf(loaded),
    }
  }

  /**
   * Hides refresh tokens that the provider has refused for good.
   * @throws {StoreUnavailableError}
   */
  refuse(tokens: readonly string[]): Promise<void> {
    return this.backing.tokens.refuse(this.key, tokens)
  }
}
