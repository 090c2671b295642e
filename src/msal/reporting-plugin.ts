import type { ICachePlugin, TokenCacheContext } from '@azure/msal-node'
import { report } from '../diagnostics.ts'
import { StoreUnavailableError } from '../errors.ts'
import type { Release } from '../lock.ts'
import { Memory } from './memory.ts'
import { countEntities } from './schema.ts'

interface Unstored {
  readonly memory: Memory
  readonly marker: string
  readonly endTurn: Release
  readonly error: StoreUnavailableError
}

/**
 * `onCommitFailure: 'report'`: what a refresh acquired is returned although the store failed, and is acquired again
 * at the next call. Loads that a call is answered from, sign-ins and evictions fail as ever.
 */
export class ReportingPlugin implements ICachePlugin {
  readonly #plugin: ICachePlugin
  readonly #concerns: 'refreshes' | 'all'
  readonly #unstored = new WeakMap<TokenCacheContext, Unstored>()
  readonly #refreshes = new WeakSet<TokenCacheContext>()

  /** @param concerns whether what is acquired without a predecessor has to be stored, as a sign-in has */
  constructor(plugin: ICachePlugin, concerns: 'refreshes' | 'all') {
    this.#plugin = plugin
    this.#concerns = concerns
  }

  async beforeCacheAccess(context: TokenCacheContext): Promise<void> {
    const memory = new Memory(context)
    try {
      await this.#plugin.beforeCacheAccess(context)
    } catch (error) {
      if (!context.cacheHasChanged || !(error instanceof StoreUnavailableError)) throw error
      const endTurn = await memory.takeTurn()
      this.#unstored.set(context, { memory, marker: memory.beginWrite(), endTurn, error })
    }
    if (this.#concerns === 'all' || memory.holdsAccount) this.#refreshes.add(context)
  }

  async afterCacheAccess(context: TokenCacheContext): Promise<void> {
    const unstored = this.#unstored.get(context)
    if (unstored === undefined) {
      await this.#plugin.afterCacheAccess(context).catch((error: unknown) => this.#settle(context, error))
      return
    }
    const { memory, marker, endTurn, error } = unstored
    try {
      const { acquired } = memory.endWrite(marker)
      memory.forgetAcquired()
      // Without anything acquired it was MSAL's removeAccount.
      if (countEntities(acquired) === 0) throw error
      this.#settle(context, error)
    } finally {
      endTurn()
    }
  }

  #settle(context: TokenCacheContext, error: unknown): void {
    if (!(error instanceof StoreUnavailableError) || !this.#refreshes.has(context)) throw error
    report('msal-keyv:commit-failed', { error })
  }
}
