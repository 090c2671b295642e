import type { ConfidentialClientApplication } from '@azure/msal-node'

/** Enough of an account to name it. */
export type Account = { readonly homeAccountId: string }

/** A web app around a cache plugin, over a store that it may share with another process. */
export interface Host {
  /** One client for all requests. */
  readonly shared: ConfidentialClientApplication
  /** Serves a request of that user's: on the shared client where that is possible, else on one of its own. */
  serve<T>(user: Account, request: (client: ConfidentialClientApplication) => Promise<T>): Promise<T>
  /** A new client for somebody who is not signed in yet. */
  signInClient(): ConfidentialClientApplication
  /** A new client for that user. */
  clientFor(user: Account): ConfidentialClientApplication
  evict(user: Account): Promise<unknown>
  /** The text of every token cache in the store. */
  partitions(): string[]
  /** Another process of the same app, on the same store. */
  anotherProcess(): Host
}
