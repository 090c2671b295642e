import type { ICachePlugin, TokenCacheContext } from '@azure/msal-node'
import { report } from '../diagnostics.ts'
import { StoreUnavailableError } from '../errors.ts'
import { holdsAccount, isBeingEmptied, Turn } from '../msal/memory.ts'
import { isEmpty } from '../msal/schema.ts'

interface FailedWrite {
  readonly turn: Turn
  readonly error: StoreUnavailableError
}

/**
 * `onCommitFailure: 'report'`: what a refresh acquired is returned although the store failed, and is acquired again
 * at the next call. Loads that a call is answered from, sign-ins and evictions fail as ever.
 */
export class ReportingPlugin implements ICachePlugin {
  readonly #plugin: ICachePlugin
  readonly #concerns: 'refreshes' | 'all'
  readonly #failed = new WeakMap<TokenCacheContext, FailedWrite>()
  readonly #refreshes = new WeakSet<TokenCacheContext>()

  /** @param concerns whether what is acquired without a predecessor must be stored, as a sign-in must */
  constructor(plugin: ICachePlugin, concerns: 'refreshes' | 'all') {
    this.#plugin = plugin
    this.#concerns = concerns
  }

  async beforeCacheAccess(context: TokenCacheContext): Promise<void> {
    if (isBeingEmptied(context) || !context.cacheHasChanged) return this.#plugin.beforeCacheAccess(context)
    try {
      await this.#plugin.beforeCacheAccess(context)
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error
      const turn = await Turn.take(context)
      turn.watch()
      this.#failed.set(context, { turn, error })
    }
    if (this.#concerns === 'all' || holdsAccount(context)) this.#refreshes.add(context)
  }

  async afterCacheAccess(context: TokenCacheContext): Promise<void> {
    const failed = this.#failed.get(context)
    if (failed === undefined) {
      await this.#plugin.afterCacheAccess(context).catch((error: unknown) => this.#settle(context, error))
      return
    }
    const { turn, error } = failed
    try {
      const { acquired } = turn.endWrite()
      await turn.forgetAcquired()
      // Without anything acquired it was MSAL's removeAccount.
      if (isEmpty(acquired)) throw error
      this.#settle(context, error)
    } finally {
      turn.release()
    }
  }

  #settle(context: TokenCacheContext, error: unknown): void {
    if (!(error instanceof StoreUnavailableError) || !this.#refreshes.has(context)) throw error
    report('msal-keyv:commit-failed', { error })
  }
}
