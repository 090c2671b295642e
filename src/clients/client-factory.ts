import {
  ConfidentialClientApplication,
  type Configuration,
  type ICachePlugin,
  ProtocolMode,
} from '@azure/msal-node'
import { ConfigurationError } from '../errors.ts'
import { AuthorityMetadata, type KnownMetadata } from './authority-metadata.ts'
import { sharedCredentials } from './credentials.ts'

const DEFAULT_AUTHORITY = 'https://login.microsoftonline.com/common'

/** Makes MSAL clients that live for one call, of one configuration. What they can share, they share. */
export class ClientFactory {
  readonly #configuration: Configuration
  readonly #authority: string
  readonly #metadata: AuthorityMetadata

  /**
   * @throws {ConfigurationError} naming what is wrong, and what MSAL throws for credentials that it cannot use: here,
   *   and not at the first request of a user
   */
  constructor(configuration: Configuration) {
    if (configuration.cache?.cachePlugin !== undefined) {
      throw new ConfigurationError(
        'configuration.cache.cachePlugin must be left out: ConfidentialClients sets it',
      )
    }
    this.#configuration = { ...configuration, auth: sharedCredentials({ ...configuration.auth }) }
    this.#authority = configuration.auth.authority ?? DEFAULT_AUTHORITY
    if (!URL.canParse(this.#authority)) {
      throw new ConfigurationError('configuration.auth.authority must be a URL')
    }
    this.#metadata = new AuthorityMetadata((authority) => this.#make(authority))
    this.#make(this.#authority)
  }

  /** A client that can ask the provider: it knows the authority's metadata. */
  async client(
    cachePlugin: ICachePlugin | undefined,
    authority: string = this.#authority,
  ): Promise<ConfidentialClientApplication> {
    return this.#make(authority, cachePlugin, await this.#metadata.of(authority))
  }

  /** A client that reads the cache and asks nobody. */
  reader(cachePlugin: ICachePlugin): ConfidentialClientApplication {
    return this.#make(this.#authority, cachePlugin)
  }

  /** Where the configured authority ends a session, or undefined where it has no such endpoint. */
  endSessionEndpoint(): Promise<string | undefined> {
    return this.#metadata.endSessionEndpoint(this.#authority)
  }

  /** The configured authority for another tenant. An OpenID provider in general has no tenants. */
  authorityOf(tenantId: string): string {
    if (this.#configuration.system?.protocolMode === ProtocolMode.OIDC) return this.#authority
    const url = new URL(this.#authority)
    const [tenant, ...policy] = url.pathname.split('/').filter(Boolean)
    if (tenant === 'adfs') return this.#authority
    url.pathname = [tenantId, ...policy].join('/')
    return url.href
  }

  #make(
    authority: string,
    cachePlugin?: ICachePlugin,
    metadata?: KnownMetadata,
  ): ConfidentialClientApplication {
    const { auth, cache, ...others } = this.#configuration
    return new ConfidentialClientApplication({
      ...others,
      auth: { ...auth, authority, ...metadata },
      cache: { ...cache, ...(cachePlugin === undefined ? {} : { cachePlugin }) },
    })
  }
}
