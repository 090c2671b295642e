import type { ConfidentialClientApplication } from '@azure/msal-node'
import { Keyv } from 'keyv'
import { KeyvCachePlugin } from '../../src/index.ts'
import { CLIENT_ID, type EntraStandIn } from '../support/entra.ts'
import type { Account, Host } from './host.ts'
import type { RemoteMap } from './remote-map.ts'

/** The same host with our plugin. */
export class KeyvHost implements Host {
  readonly shared: ConfidentialClientApplication
  readonly plugin: KeyvCachePlugin
  readonly #entra: EntraStandIn
  readonly #store: RemoteMap

  constructor(entra: EntraStandIn, store: RemoteMap) {
    this.#entra = entra
    this.#store = store
    this.plugin = new KeyvCachePlugin({ store: new Keyv({ store }), clientId: CLIENT_ID })
    this.shared = entra.client(this.plugin)
  }

  serve<T>(user: Account, request: (client: ConfidentialClientApplication) => Promise<T>): Promise<T> {
    return request(this.clientFor(user))
  }

  signInClient(): ConfidentialClientApplication {
    return this.#entra.client(this.plugin)
  }

  clientFor(user: Account): ConfidentialClientApplication {
    return this.#entra.client(this.plugin.forAccount({ homeAccountId: user.homeAccountId }))
  }

  evict(user: Account): Promise<unknown> {
    return this.plugin.evictAccount(user.homeAccountId)
  }

  partitions(): string[] {
    return [...this.#store.entries].filter(([key]) => key.endsWith('_p')).map(([, value]) => value)
  }

  /** Partitions, generations and session links. */
  records(): string[] {
    return [...this.#store.entries.values()]
  }

  anotherProcess(): KeyvHost {
    return new KeyvHost(this.#entra, this.#store)
  }
}
