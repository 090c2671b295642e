import type { ICachePlugin, TokenCacheContext } from '@azure/msal-node'
import { report } from '../diagnostics.ts'
import { StoreUnavailableError } from '../errors.ts'
import type { Release } from '../lock.ts'
import { Memory } from './memory.ts'

interface Unstored {
  readonly memory: Memory
  readonly marker: string
  readonly endTurn: Release
}

/**
 * `onCommitFailure: 'report'`: what a refresh acquired is returned although the store failed, and is acquired again
 * at the next call. Loads that a call is answered from, and evictions, fail as ever.
 */
export class ReportingPlugin implements ICachePlugin {
  readonly #plugin: ICachePlugin
  readonly #unstored = new WeakMap<TokenCacheContext, Unstored>()

  constructor(plugin: ICachePlugin) {
    this.#plugin = plugin
  }

  async beforeCacheAccess(context: TokenCacheContext): Promise<void> {
    try {
      await this.#plugin.beforeCacheAccess(context)
    } catch (error) {
      if (!context.cacheHasChanged) throw error
      reportStoreFailure(error)
      const memory = new Memory(context)
      const endTurn = await memory.takeTurn()
      this.#unstored.set(context, { memory, marker: memory.beginWrite(), endTurn })
    }
  }

  async afterCacheAccess(context: TokenCacheContext): Promise<void> {
    const unstored = this.#unstored.get(context)
    if (unstored !== undefined) {
      unstored.memory.endWrite(unstored.marker)
      unstored.memory.forgetAcquired()
      unstored.endTurn()
      return
    }
    try {
      await this.#plugin.afterCacheAccess(context)
    } catch (error) {
      reportStoreFailure(error)
    }
  }
}

/** Throws whatever is no failure of the store. */
function reportStoreFailure(error: unknown): void {
  if (!(error instanceof StoreUnavailableError)) throw error
  report('msal-keyv:commit-failed', { error })
}
