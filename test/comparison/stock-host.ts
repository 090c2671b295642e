import { AsyncLocalStorage } from 'node:async_hooks'
import { type ConfidentialClientApplication, DistributedCachePlugin } from '@azure/msal-node'
import type { EntraStandIn } from '../support/entra.ts'
import type { Account, Host } from './host.ts'
import type { RemoteMap } from './remote-map.ts'

/**
 * A host with MSAL Node's own plugin, wired as in Microsoft's samples: partitions by home account id, and the
 * key of a request is its session's account. For the shared client an AsyncLocalStorage finds the session,
 * which is the best that a host can do for this plugin.
 */
export class StockHost implements Host {
  readonly shared: ConfidentialClientApplication
  readonly #entra: EntraStandIn
  readonly #store: RemoteMap
  readonly #session = new AsyncLocalStorage<Account>()

  constructor(entra: EntraStandIn, store: RemoteMap) {
    this.#entra = entra
    this.#store = store
    this.shared = this.#client(() => this.#session.getStore())
  }

  serve<T>(user: Account, request: (client: ConfidentialClientApplication) => Promise<T>): Promise<T> {
    return this.#session.run(user, () => request(this.shared))
  }

  signInClient(): ConfidentialClientApplication {
    return this.#client(() => undefined)
  }

  clientFor(user: Account): ConfidentialClientApplication {
    return this.#client(() => user)
  }

  /** The plugin knows no deletion, so the host deletes the key. */
  async evict(user: Account): Promise<void> {
    await this.#store.delete(user.homeAccountId)
  }

  partitions(): string[] {
    return [...this.#store.entries.values()]
  }

  anotherProcess(): StockHost {
    return new StockHost(this.#entra, this.#store)
  }

  #client(session: () => Account | undefined): ConfidentialClientApplication {
    const store = {
      get: async (key: string) => (await this.#store.get(key)) ?? '',
      set: (key: string, value: string) => this.#store.set(key, value),
    }
    const partitions = {
      getKey: async () => session()?.homeAccountId ?? '',
      extractKey: async (account: Account) => account.homeAccountId,
    }
    return this.#entra.client(new DistributedCachePlugin(store, partitions))
  }
}
