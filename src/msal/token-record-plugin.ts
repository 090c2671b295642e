import type { ICachePlugin, TokenCacheContext } from '@azure/msal-node'
import { reportMalformed } from '../diagnostics.ts'
import type { Release } from '../lock.ts'
import type { TokenRecordRepository, TokenSnapshot } from '../partitions/token-records.ts'
import type { LinkedPartitions } from '../sessions/linked-partitions.ts'
import { Memory } from './memory.ts'
import { isEmpty, parseCache, type SerializedCache } from './schema.ts'
import { storeSignIn } from './sign-in.ts'
import { NO_OWNER, splitByOwner } from './split.ts'

/** Where a plugin keeps what MSAL acquires. */
export interface Repositories {
  readonly partitions: LinkedPartitions
  readonly records: TokenRecordRepository
}

/** What MSAL did between a write's load and its commit. */
export interface Commit {
  readonly snapshot: TokenSnapshot
  /** What MSAL was shown; undefined where that was nothing. */
  readonly baseline: SerializedCache | undefined
  readonly acquired: SerializedCache
  /** MSAL's removeAccount emptied its memory. */
  readonly removed: boolean
}

interface Write {
  readonly memory: Memory
  readonly marker: string
  readonly snapshot: TokenSnapshot
  readonly baseline: SerializedCache | undefined
  readonly endTurn: Release
  readonly unlock: Release
}

/**
 * Shows MSAL one record that is no account's partition. What a call acquired leaves MSAL's memory with its commit,
 * for whether it may be kept is known only then.
 */
export abstract class TokenRecordPlugin implements ICachePlugin {
  protected readonly key: string
  protected readonly partitions: LinkedPartitions
  protected readonly records: TokenRecordRepository
  readonly #writes = new WeakMap<TokenCacheContext, Write>()

  constructor({ partitions, records }: Repositories, key: string) {
    this.partitions = partitions
    this.records = records
    this.key = key
  }

  async beforeCacheAccess(context: TokenCacheContext): Promise<void> {
    const memory = new Memory(context)
    if (context.cacheHasChanged) return this.#beginWrite(context, memory)
    const snapshot = await this.records.load(this.key)
    const endTurn = await memory.takeTurn()
    try {
      this.#show(memory, snapshot)
    } finally {
      endTurn()
    }
  }

  async afterCacheAccess(context: TokenCacheContext): Promise<void> {
    const write = this.#writes.get(context)
    // Nothing changed, or the load failed: a context whose load failed never writes (P7).
    if (write === undefined) return
    this.#writes.delete(context)
    const { memory, marker, snapshot, baseline, endTurn, unlock } = write
    let acquired: SerializedCache
    try {
      const after = memory.endWrite(marker)
      acquired = after.acquired
      memory.forgetAcquired()
      endTurn()
      const removed = after.intact && baseline !== undefined && !isEmpty(baseline) && isEmpty(after.all)
      acquired = await this.commit({ snapshot, baseline, acquired, removed })
    } finally {
      endTurn()
      unlock()
    }
    for (const [owner, cache] of splitByOwner(acquired)) {
      // What names an account but brings none is the answer to a refresh, and no sign-in.
      const isSignIn = owner !== NO_OWNER && Object.keys(cache.Account).length > 0
      if (isSignIn) await storeSignIn(this.partitions, owner, cache)
    }
  }

  /** What MSAL may see; nothing, where this throws. */
  protected visible({ record }: TokenSnapshot): string | undefined {
    return record?.body
  }

  /** Stores what belongs in the record. @returns what does not */
  protected abstract commit(commit: Commit): Promise<SerializedCache>

  /** @returns what MSAL's memory holds now */
  #show(memory: Memory, snapshot: TokenSnapshot): string | undefined {
    memory.show(undefined)
    const json = this.visible(snapshot)
    if (memory.show(json)) return json
    reportMalformed(this.key)
    return undefined
  }

  async #beginWrite(context: TokenCacheContext, memory: Memory): Promise<void> {
    const { snapshot, unlock } = await this.records.loadForWrite(this.key)
    const endTurn = await memory.takeTurn()
    try {
      const json = this.#show(memory, snapshot)
      const baseline = json === undefined ? undefined : parseCache(json)
      this.#writes.set(context, { memory, marker: memory.beginWrite(), snapshot, baseline, endTurn, unlock })
    } catch (error) {
      endTurn()
      unlock()
      throw error
    }
  }
}
