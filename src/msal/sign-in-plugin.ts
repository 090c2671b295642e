import type { ICachePlugin, TokenCacheContext } from '@azure/msal-node'
import { report } from '../diagnostics.ts'
import { ConfigurationError } from '../errors.ts'
import type { Release } from '../lock.ts'
import type { LinkedPartitions } from '../sessions/linked-partitions.ts'
import { Memory } from './memory.ts'
import { isOnBehalfOf } from './merge.ts'
import { countEntities, type SerializedCache } from './schema.ts'
import { storeSignIn } from './sign-in.ts'
import { NO_OWNER, splitByOwner } from './split.ts'

interface Write {
  readonly memory: Memory
  readonly marker: string
  readonly endTurn: Release
}

/** One sign-in, as far as the plugin has to know of it. */
export interface SignInOccasion {
  /** `session_state` of the authorization response. */
  readonly sessionState?: string | undefined
  /** Is told under which generation each account was stored. */
  readonly stored?: Map<string, string>
}

/** Loads nothing, and stores what was acquired under whoever owns it. Nothing stays in MSAL's memory (P12). */
export class SignInPlugin implements ICachePlugin {
  readonly #partitions: LinkedPartitions
  readonly #writes = new WeakMap<TokenCacheContext, Write>()
  readonly #occasion: SignInOccasion

  /** @param occasion where the plugin is for one sign-in and is dropped afterwards */
  constructor(partitions: LinkedPartitions, occasion: SignInOccasion = {}) {
    this.#partitions = partitions
    this.#occasion = occasion
  }

  async beforeCacheAccess(context: TokenCacheContext): Promise<void> {
    if (!context.cacheHasChanged) {
      throw new ConfigurationError(
        'this plugin signs users in and reads nothing by itself: for acquireTokenSilent, getAllAccounts or ' +
          'getAccountBy… use a client with cachePlugin: plugin.forAccount(account), or wrap the call in ' +
          'plugin.runAs(account, …); for acquireTokenByClientCredential use plugin.forApp(tenantId)',
      )
    }
    const memory = new Memory(context)
    const endTurn = await memory.takeTurn()
    this.#writes.set(context, { memory, marker: memory.beginWrite(), endTurn })
  }

  async afterCacheAccess(context: TokenCacheContext): Promise<void> {
    const write = this.#writes.get(context)
    if (write === undefined) return
    this.#writes.delete(context)
    const acquired = takeAcquired(write)
    if (isOnBehalfOf(acquired)) {
      report('msal-keyv:dropped-entities', { count: countEntities(acquired) })
      return
    }
    for (const [owner, cache] of splitByOwner(acquired)) {
      if (owner === NO_OWNER) {
        // An app token, and no sign-in.
        report('msal-keyv:dropped-entities', { count: countEntities(cache) })
        continue
      }
      const { sessionState, stored } = this.#occasion
      const generation = await storeSignIn(this.#partitions, owner, cache, { sessionState })
      if (generation !== undefined) stored?.set(owner, generation)
    }
  }
}

/** Takes what the call acquired out of MSAL's memory, in one synchronous step. */
function takeAcquired({ memory, marker, endTurn }: Write): SerializedCache {
  try {
    const { acquired, intact } = memory.endWrite(marker)
    memory.forgetAcquired()
    if (intact && countEntities(acquired) === 0) {
      throw new ConfigurationError(
        'nothing was acquired to store: removeAccount removes nothing here, call plugin.evictAccount(homeAccountId); ' +
          'acquireTokenByRefreshToken needs forceCache: true',
      )
    }
    if (!intact && Object.keys(acquired.Account).length === 0) {
      throw new ConfigurationError(
        'a sign-in was lost: acquireTokenSilent cleared the memory of the same client meanwhile. ' +
          'Make a client for each request, or at least one that only signs in',
      )
    }
    return acquired
  } finally {
    endTurn()
  }
}
