import type { BegunSession } from '../accounts/accounts.ts'
import { report } from '../diagnostics.ts'
import { AuthorizationResponseError, ConfigurationError } from '../errors.ts'
import { claimsOf } from '../jwt.ts'
import { countEntities, emptyCache, isEmpty, type SerializedCache } from '../msal/schema.ts'
import { isOnBehalfOf, NO_OWNER, splitByOwner } from '../msal/split.ts'
import { type Backing, CachePlugin, type Write } from './cache-plugin.ts'
import { storeSignIn } from './store-sign-in.ts'

/** What concerns one sign-in only. */
export interface OneSignIn {
  /** `session_state` of the authorization response. */
  readonly sessionState: string | undefined
  /** Of the authorization request: an answer whose ID token has another one, or that has none, is not stored. */
  readonly nonce: string
  /** Is told what a host session of the account begins with. */
  signedIn(homeAccountId: string, begun: BegunSession): void
}

/** Loads nothing, and stores what was acquired under the account that owns it. Nothing stays in MSAL's memory (P12). */
export class SignInPlugin extends CachePlugin<undefined> {
  readonly key = ''
  protected readonly mayGoUnstored = 'nothing'
  readonly #signIn: OneSignIn | undefined

  /** @param signIn if the plugin is made for one */
  constructor(backing: Backing, signIn?: OneSignIn) {
    super(backing)
    this.#signIn = signIn
  }

  protected async load(): Promise<undefined> {
    throw new ConfigurationError(
      'this client signs users in, and reads nothing: for acquireTokenSilent, getAllAccounts or getAccountBy… use ' +
        'ConfidentialClients, or make a client for each request with cachePlugin: plugin.forAccount(account); for ' +
        'acquireTokenByClientCredential make one with plugin.forApp(tenantId)',
    )
  }

  protected async loadForWrite() {
    return { loaded: undefined, unlock: () => {} }
  }

  protected visible(): undefined {
    return undefined
  }

  protected mayStay(): boolean {
    return false
  }

  protected async commit({ acquired, isIntact }: Write<undefined>): Promise<SerializedCache> {
    check(acquired, isIntact)
    if (isOnBehalfOf(acquired)) {
      report('msal-keyv:dropped-entities', { count: countEntities(acquired) })
      return emptyCache()
    }
    for (const [owner, cache] of splitByOwner(acquired)) {
      if (owner === NO_OWNER) {
        // An app token, and no sign-in.
        report('msal-keyv:dropped-entities', { count: countEntities(cache) })
        continue
      }
      const { sessionState, nonce } = this.#signIn ?? {}
      if (nonce !== undefined && !isFor(nonce, cache)) throw new AuthorizationResponseError('nonce_mismatch')
      const details = { sessionState, authority: this.authority }
      const begun = await storeSignIn(this.backing.accounts, owner, cache, details)
      if (begun !== undefined) this.#signIn?.signedIn(owner, begun)
    }
    return emptyCache()
  }
}

function isFor(nonce: string, { IdToken }: SerializedCache): boolean {
  const claims = Object.values(IdToken).map(({ secret }) => claimsOf(secret))
  return claims.length > 0 && claims.every((each) => each.nonce === nonce)
}

function check(acquired: SerializedCache, isIntact: boolean): void {
  if (isIntact && isEmpty(acquired)) {
    throw new ConfigurationError(
      'nothing was acquired to store: removeAccount removes nothing here, call plugin.evictAccount(homeAccountId); ' +
        'acquireTokenByRefreshToken needs forceCache: true',
    )
  }
  if (!isIntact && Object.keys(acquired.Account).length === 0) {
    throw new ConfigurationError(
      'a sign-in was lost: acquireTokenSilent cleared the memory of the same client meanwhile. Use ' +
        'ConfidentialClients, or make a client for each request',
    )
  }
}
