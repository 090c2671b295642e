import {
  ConfidentialClientApplication,
  type Configuration,
  type ICachePlugin,
  ProtocolMode,
} from '@azure/msal-node'
import { cloudOf } from '../accounts/origin.ts'
import { ConfigurationError, withStatus } from '../errors.ts'
import type { Authorities, Authority } from '../msal/authority.ts'
import { AuthorityMetadata, type KnownMetadata } from './authority-metadata.ts'
import { sharedCredentials } from './credentials.ts'

const DEFAULT_AUTHORITY = 'https://login.microsoftonline.com/common'

/** Makes MSAL clients that live for one call, of one configuration. What they can share, they share. */
export class ClientFactory implements Authorities {
  readonly #configuration: Configuration
  readonly configured: string
  readonly #known: readonly string[]
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
    this.configured = configuration.auth.authority ?? DEFAULT_AUTHORITY
    if (!URL.canParse(this.configured)) {
      throw new ConfigurationError('configuration.auth.authority must be a URL')
    }
    const { knownAuthorities = [] } = configuration.auth
    this.#known = [new URL(this.configured).host, ...knownAuthorities.map(hostOf)]
    this.#metadata = new AuthorityMetadata((authority) => this.#make(authority))
    this.#make(this.configured)
  }

  trusts = (url: string): boolean => {
    if (!URL.canParse(url)) return false
    const { host } = new URL(url)
    return this.#known.includes(host) || cloudOf(host) !== undefined || host.endsWith('.ciamlogin.com')
  }

  describe = (url: string): Promise<Authority> => this.#metadata.describe(url, this.#known.slice(1))

  /** A client that can ask the provider: it knows the authority's metadata. */
  async client(
    cachePlugin: ICachePlugin | undefined,
    authority: string = this.configured,
  ): Promise<ConfidentialClientApplication> {
    const metadata = await this.#metadata.of(authority).catch((error: unknown) => {
      throw withStatus(error)
    })
    return this.#make(authority, cachePlugin, metadata)
  }

  /** A client that reads the cache and asks nobody. */
  reader(cachePlugin: ICachePlugin, authority: string): ConfidentialClientApplication {
    return this.#make(authority, cachePlugin)
  }

  /** Where an authority ends a session, or undefined if it has no such endpoint. */
  endSessionEndpoint(authority: string): Promise<string | undefined> {
    return this.#metadata.endSessionEndpoint(authority)
  }

  /** Whether an authority need not be discovered first. */
  isKnown(authority: string): boolean {
    return this.#metadata.isKnown(authority)
  }

  /** An authority for another tenant. An OpenID provider in general has no tenants. */
  ofTenant = (tenantId: string, base: string = this.configured): string => {
    if (this.#configuration.system?.protocolMode === ProtocolMode.OIDC) return base
    const url = new URL(base)
    const [tenant, ...policy] = url.pathname.split('/').filter(Boolean)
    if (tenant === 'adfs') return base
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

/** MSAL takes a host, or a URL. */
function hostOf(known: string): string {
  const url = known.includes('://') ? known : `https://${known}`
  return URL.canParse(url) ? new URL(url).host : known.toLowerCase()
}
