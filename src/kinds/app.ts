import type { ClientCredentialRequest, ConfidentialClientApplication } from '@azure/msal-node'
import { checkTenantId } from '../accounts/identity.ts'
import { cloudOf } from '../accounts/origin.ts'
import { report } from '../diagnostics.ts'
import { ConfigurationError } from '../errors.ts'
import type { Authorities } from '../msal/authority.ts'
import { lastUseOf, supersede, withoutExpired } from '../msal/merge.ts'
import { countEntities, emptyCache, environmentsOf, type SerializedCache } from '../msal/schema.ts'
import { isOnBehalfOf, isUsers, NO_OWNER, splitByOwner } from '../msal/split.ts'
import type { Backing } from './cache-plugin.ts'
import { TokenRecordPlugin, type TokenWrite } from './token-record.ts'

/** MSAL's request with the tenant whose resources the token is for, which sets the authority. */
export type AppTokenRequest = Omit<ClientCredentialRequest, 'authority' | 'scopes'> & {
  tenantId: string
  scopes: string[]
}

/** Shows MSAL the application's own tokens for one tenant, and stores nothing else there (P1). */
export class AppPlugin extends TokenRecordPlugin<ClientCredentialRequest> {
  protected readonly mayGoUnstored = 'all'
  readonly #tenantId: string

  /** @throws {TypeError} for a tenant id that cannot be one */
  constructor(backing: Backing, tenantId: string) {
    const tenant = checkTenantId(tenantId)
    super(backing, backing.names.app(tenant))
    this.#tenantId = tenant
  }

  question() {
    return ['app', this.#tenantId]
  }

  override async route({ ofTenant, configured }: Authorities): Promise<string> {
    return ofTenant(this.#tenantId, configured)
  }

  async ask(client: ConfidentialClientApplication, request: ClientCredentialRequest) {
    if (request.skipCache || request.claims) await client.getTokenCache().getAllAccounts()
    return client.acquireTokenByClientCredential(request)
  }

  protected async commit({ loaded, shown, acquired, followsLoad }: TokenWrite): Promise<SerializedCache> {
    if (isOnBehalfOf(acquired)) {
      report('msal-keyv:dropped-entities', { count: countEntities(acquired) })
      return emptyCache()
    }
    const own = splitByOwner(acquired).get(NO_OWNER)
    if (own === undefined) return acquired
    this.#check(own)
    // MSAL looks for an application's own token before it asks for one, unless it is given claims. Elsewhere than at
    // Entra ID, whose answer to a code has an ID token, the answer to another grant may look like it.
    if (!followsLoad && [...environmentsOf(own)].some((host) => cloudOf(host) === undefined)) {
      report('msal-keyv:dropped-entities', { count: countEntities(own) })
      return acquired
    }
    const cache = withoutExpired(supersede(shown ?? emptyCache(), own), Date.now())
    await this.store(loaded, { generation: undefined }, undefined, cache, lastUseOf(cache))
    return acquired
  }

  /** Below `/realms/main`, MSAL takes `realms` for the tenant. */
  #isNamedBy(realm: string): boolean {
    const { pathname } = new URL(this.authority?.url ?? 'https://localhost')
    const path = pathname.split('/').filter(Boolean)
    return path.length > 1 && path.at(-1) === this.#tenantId && path[0] === realm
  }

  #check(own: SerializedCache): void {
    if (isUsers(own)) {
      throw new ConfigurationError(
        'a client with forApp acquired tokens of a user, which do not name the user and are not stored: ' +
          'sign in and refresh through a client of the account',
      )
    }
    for (const { realm } of Object.values(own.AccessToken)) {
      if (realm !== '' && realm.toLowerCase() !== this.#tenantId && !this.#isNamedBy(realm)) {
        throw new ConfigurationError(
          `an application's token for ${realm} was acquired with forApp of ${this.#tenantId}, and is not stored: ` +
            'the authority of the client or the request must name the tenant in the same way as forApp',
        )
      }
    }
  }
}
