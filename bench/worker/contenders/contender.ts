import type { AccountInfo, AuthenticationResult, ConfidentialClientApplication } from '@azure/msal-node'
import type { EncryptionKey } from '../../../src/index.ts'
import type { SigningKey } from '../../../test/logout/provider.ts'
import { type EntraStandIn, SCOPES, type User } from '../../../test/support/entra.ts'
import type { Operation } from '../../contenders.ts'
import type { Library } from '../library.ts'
import type { Store } from '../stores.ts'
import type { Call } from '../turn.ts'

/** Does, untimed, what has to precede a call, and returns the call. */
export type Arrange = (user: User) => Call | Promise<Call>

export interface Contender extends Readonly<Partial<Record<Operation, Arrange>>> {
  readonly hit: Arrange
  readonly 'sign-in': Arrange
  readonly eviction: Arrange
  /**
   * Stores these accounts and as many others as make `accounts` of them, where that is not one record for each:
   * else the users are signed in and the store is filled.
   */
  populate?(users: readonly User[], accounts: number): Promise<void>
}

/** What a contender is made of. */
export interface Parts {
  readonly library: Library
  readonly entra: EntraStandIn
  readonly store: Store
  /** Of nobody else's in that store. */
  readonly name: string
  readonly encryptionKeys: readonly EncryptionKey[] | undefined
  /** The provider's, for logout tokens; made when it is first asked for. */
  signingKey(): Promise<SigningKey>
}

export const REDIRECT_URI = 'https://app.example/callback'

/** A silent call with the account that the host has kept in its session. */
export function acquireSilently(
  client: ConfidentialClientApplication,
  user: User,
  options: { forceRefresh?: boolean } = {},
): Promise<AuthenticationResult> {
  return client.acquireTokenSilent({ scopes: SCOPES, account: accountOf(user), ...options })
}

/** @throws {Error} when what was answered is no hit, or is somebody else's */
export async function expectHit(answer: Promise<AuthenticationResult>, user: User): Promise<void> {
  const { fromCache, account } = await answer
  if (!fromCache || account?.homeAccountId !== user.homeAccountId) throw new Error('this was no silent hit')
}

/** As MSAL describes it after the sign-in, without the claims. */
export function accountOf({ homeAccountId, tid, oid, username, name }: User): AccountInfo {
  const environment = 'login.windows.net'
  return { homeAccountId, environment, tenantId: tid, localAccountId: oid, username, name }
}
