import type { IncomingMessage } from 'node:http'
import type { AuthenticationResult, ConfidentialClientApplication } from '@azure/msal-node'
import type { RecordView } from '../records.ts'

/** What the host keeps in its own session of a sign-in. */
export interface SignedIn {
  readonly homeAccountId: string
}

/** A record of tokens in the store of a host, without a token. */
export interface TokenRecord {
  readonly key: string
  /** The names of the accounts in it. */
  readonly accounts: readonly string[]
  readonly accessTokens: number
  readonly refreshTokens: number
}

export interface CallbackAnswer {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body?: string
  /** In a word or two. */
  readonly result: string
}

/** The same web app around one or the other cache plugin. */
export interface Host {
  readonly clientId: string
  /** One client for everybody. */
  readonly shared: ConfidentialClientApplication
  /** A client for one sign-in. */
  signInClient(): ConfidentialClientApplication
  /** After a sign-in. */
  openSession(result: AuthenticationResult): Promise<SignedIn>
  /** A client for one request of that user's, as both Microsoft and msal-keyv recommend. */
  clientFor(user: SignedIn): ConfidentialClientApplication
  /** Ends the user's sign-in here. */
  evict(user: SignedIn): Promise<void>
  /** What the host does with the provider's logout callback. */
  logoutCallback(request: IncomingMessage): Promise<CallbackAnswer>
  /** What is in its store. */
  records(): Promise<TokenRecord[]>
  /** Empties its store. */
  clear(): Promise<void>
}

export function tokenRecord(key: string, cache: NonNullable<RecordView['partition']>): TokenRecord {
  const { usernames, accessTokens, refreshTokens } = cache
  return { key, accounts: usernames, accessTokens: accessTokens.length, refreshTokens }
}
