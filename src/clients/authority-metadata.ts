import type { ConfidentialClientApplication, Configuration } from '@azure/msal-node'
import { cloudOf, commonIssuer } from '../accounts/origin.ts'
import { type Authority, type AuthorityEntity, authorityEntities, authorityOf } from '../msal/authority.ts'

/** MSAL's configuration for an authority that needs no discovery any more. */
export type KnownMetadata = Pick<Configuration['auth'], 'authorityMetadata' | 'cloudDiscoveryMetadata'>

interface Discovered {
  entity: AuthorityEntity | undefined
  configuration: KnownMetadata
  /** When to ask again, in epoch milliseconds. */
  staleAt: number
  refreshing: boolean
}

/** As long as MSAL itself keeps it. */
const LIFETIME = 24 * 60 * 60 * 1000
/** Between two attempts when the provider does not answer. */
const RETRY_AFTER = 5 * 60 * 1000

/**
 * Authority metadata for clients that live for one call: MSAL keeps it in a client's memory and would fetch it
 * for every new one, but for the hosts of Entra ID, which it knows.
 */
export class AuthorityMetadata {
  readonly #makeClient: (authority: string) => ConfidentialClientApplication
  readonly #known = new Map<string, Promise<Discovered>>()
  /** Hosts whose metadata MSAL has built in, so that there is nothing to keep. */
  readonly #builtIn = new Set<string>()

  /** @param makeClient a bare client of this authority */
  constructor(makeClient: (authority: string) => ConfidentialClientApplication) {
    this.#makeClient = makeClient
  }

  /**
   * What a new client is to be configured with. The first use of an authority asks the provider, and concurrent ones
   * share the answer; later on it is asked again in the background, and kept if that fails.
   */
  async of(authority: string): Promise<KnownMetadata | undefined> {
    if (this.#builtIn.has(new URL(authority).host)) return undefined
    const { configuration } = await this.#discovered(authority)
    return configuration
  }

  /**
   * What an authority's discovery document says of it.
   * @param known the hosts that the host itself has listed
   */
  async describe(url: string, known: readonly string[]): Promise<Authority> {
    const { host } = new URL(url)
    const cloud = cloudOf(host)
    if (cloud !== undefined) {
      const issuer = commonIssuer(`https://${host}/{tenantid}`)
      return { url: nameOf(url), hosts: cloud, issuer, vouchesForItself: true }
    }
    const { entity } = await this.#discovered(url)
    if (entity === undefined) return { url, hosts: [host], issuer: '', vouchesForItself: false }
    return authorityOf(entity, known)
  }

  /** Whether it needs no request to the provider. */
  isKnown(authority: string): boolean {
    const { host } = new URL(authority)
    return cloudOf(host) !== undefined || this.#builtIn.has(host) || this.#known.has(nameOf(authority))
  }

  /** The provider's logout endpoint, or undefined where it has none. */
  async endSessionEndpoint(authority: string): Promise<string | undefined> {
    const isBuiltIn = this.#builtIn.has(new URL(authority).host)
    const { entity } = await (isBuiltIn ? this.#discover(authority) : this.#discovered(authority))
    const [tenant = ''] = new URL(authority).pathname.split('/').filter(Boolean)
    return entity?.end_session_endpoint?.replace(/\{tenant(?:id)?\}/, tenant)
  }

  #discovered(authority: string): Promise<Discovered> {
    const known = this.#known.get(nameOf(authority))
    if (known !== undefined) return known.then((discovered) => this.#refreshed(authority, discovered))
    const first = this.#discover(authority)
    this.#known.set(nameOf(authority), first)
    first.then(
      ({ entity }) => {
        if (entity?.endpointsFromNetwork || entity?.aliasesFromNetwork) {
          this.#known.set(nameOf(entity.canonical_authority), first)
          return
        }
        this.#builtIn.add(new URL(authority).host)
        this.#known.delete(nameOf(authority))
      },
      () => this.#known.delete(nameOf(authority)),
    )
    return first
  }

  #refreshed(authority: string, discovered: Discovered): Discovered {
    if (Date.now() >= discovered.staleAt && !discovered.refreshing) {
      discovered.refreshing = true
      this.#discover(authority).then(
        (fresh) => this.#known.set(nameOf(authority), Promise.resolve(fresh)),
        () => {
          discovered.refreshing = false
          discovered.staleAt = Date.now() + RETRY_AFTER
        },
      )
    }
    return discovered
  }

  /** MSAL discovers an authority before it builds the URL of an authorization request, and sends none. */
  async #discover(authority: string): Promise<Discovered> {
    const client = this.#makeClient(authority)
    await client.getAuthCodeUrl({ scopes: [], redirectUri: 'https://localhost' })
    const [entity] = authorityEntities(client.getTokenCache().getKVStore())
    return {
      entity,
      configuration: configurationOf(entity),
      staleAt: Date.now() + LIFETIME,
      refreshing: false,
    }
  }
}

/** An entity has the members of both of the provider's documents, under the names that they have there. */
function configurationOf(entity: AuthorityEntity | undefined): KnownMetadata {
  // What MSAL has built in it knows better: where the host has listed a cloud's name, the entity has no other.
  if (!entity?.endpointsFromNetwork && !entity?.aliasesFromNetwork) return {}
  return {
    authorityMetadata: JSON.stringify(entity),
    cloudDiscoveryMetadata: JSON.stringify({ metadata: [entity] }),
  }
}

/** MSAL takes an authority in any letter case, with and without a slash at its end. */
function nameOf(authority: string): string {
  return `${authority.toLowerCase().replace(/\/$/, '')}/`
}
