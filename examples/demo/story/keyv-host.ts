import type { IncomingMessage } from 'node:http'
import {
  type AuthenticationResult,
  ConfidentialClientApplication,
  type Configuration,
  type ICachePlugin,
} from '@azure/msal-node'
import type { Keyv } from 'keyv'
import { type HostSession, KeyvCachePlugin, LogoutHandler, type LogoutOptions } from '../../../src/index.ts'
import { readRecords } from '../records.ts'
import type { Timeline } from '../timeline.ts'
import { type Host, type SignedIn, tokenRecord } from './host.ts'

/** The same host with msal-keyv. */
export class KeyvHost implements Host {
  readonly clientId: string
  readonly shared: ConfidentialClientApplication
  readonly #configuration: Configuration
  readonly #store: Keyv
  readonly #plugin: KeyvCachePlugin
  readonly #logout: LogoutHandler
  readonly #timeline: Timeline

  constructor(configuration: Configuration, store: Keyv, logout: LogoutOptions, timeline: Timeline) {
    this.clientId = configuration.auth.clientId
    this.#configuration = configuration
    this.#store = store
    this.#plugin = new KeyvCachePlugin({ store, clientId: this.clientId })
    this.#logout = new LogoutHandler(this.#plugin, logout)
    this.#timeline = timeline
    this.shared = this.#client(this.#plugin)
  }

  signInClient(): ConfidentialClientApplication {
    return this.#client(this.#plugin)
  }

  openSession(result: AuthenticationResult): Promise<HostSession> {
    return this.#plugin.openSession(result)
  }

  clientFor(user: SignedIn): ConfidentialClientApplication {
    return this.#client(this.#plugin.forAccount(user))
  }

  async evict({ homeAccountId }: SignedIn): Promise<void> {
    await this.#plugin.evictAccount(homeAccountId)
  }

  logoutCallback(request: IncomingMessage) {
    return this.#logout.handle(request)
  }

  async records() {
    const records = await readRecords(this.#store)
    this.#timeline.learnNames(records)
    return records.flatMap(({ key, partition }) => (partition ? [tokenRecord(key, partition)] : []))
  }

  clear(): Promise<void> {
    return this.#store.clear()
  }

  #client(cachePlugin: ICachePlugin): ConfidentialClientApplication {
    return new ConfidentialClientApplication({ ...this.#configuration, cache: { cachePlugin } })
  }
}
