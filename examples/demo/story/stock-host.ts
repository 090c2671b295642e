import {
  ConfidentialClientApplication,
  type Configuration,
  DistributedCachePlugin,
  type ICacheClient,
} from '@azure/msal-node'
import type { Keyv } from 'keyv'
import { entriesOf, viewTokenCache } from '../records.ts'
import { type Host, type SignedIn, tokenRecord } from './host.ts'

/**
 * A host with MSAL Node's own plugin, used as in Microsoft's samples: the partition of a request is the home account
 * id in its session, or the empty one before there is a sign-in, and a record goes by the account that it holds.
 */
export class StockHost implements Host {
  readonly clientId: string
  readonly shared: ConfidentialClientApplication
  readonly #configuration: Configuration
  readonly #store: Keyv<string>
  readonly #cacheClient: ICacheClient

  constructor(configuration: Configuration, store: Keyv<string>) {
    this.clientId = configuration.auth.clientId
    this.#configuration = configuration
    this.#store = store
    this.#cacheClient = {
      get: async (key) => (key === '' ? '' : ((await store.get(key)) ?? '')),
      set: async (key, value) => {
        await store.set(key, value)
        return value
      },
    }
    this.shared = this.#client(undefined)
  }

  signInClient(): ConfidentialClientApplication {
    return this.#client(undefined)
  }

  async openSession({ account }: { account: SignedIn | null }): Promise<SignedIn> {
    return { homeAccountId: account?.homeAccountId ?? '' }
  }

  clientFor(user: SignedIn): ConfidentialClientApplication {
    return this.#client(user)
  }

  /** The plugin knows no deletion, so the host deletes the record. */
  async evict({ homeAccountId }: SignedIn): Promise<void> {
    await this.#store.delete(homeAccountId)
  }

  /** Nothing in MSAL Node reads a logout token, or finds the account that it means. */
  async logoutCallback() {
    return { status: 501, headers: {}, result: 'nothing here reads logout tokens' }
  }

  async records() {
    const records = []
    for await (const [key, cache] of entriesOf(this.#store)) {
      records.push(tokenRecord(key, viewTokenCache(cache)))
    }
    return records
  }

  clear(): Promise<void> {
    return this.#store.clear()
  }

  #client(user: SignedIn | undefined): ConfidentialClientApplication {
    const cachePlugin = new DistributedCachePlugin(this.#cacheClient, {
      getKey: async () => user?.homeAccountId ?? '',
      extractKey: async ({ homeAccountId }) => homeAccountId,
    })
    return new ConfidentialClientApplication({ ...this.#configuration, cache: { cachePlugin } })
  }
}
