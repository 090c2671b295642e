import type { ConfidentialClientApplication, Configuration } from '@azure/msal-node'

type Entity = ReturnType<ReturnType<ConfidentialClientApplication['getTokenCache']>['getKVStore']>[string]
/** What MSAL knows of an authority. */
type AuthorityEntity = Extract<Entity, { aliasesFromNetwork: boolean }>

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
const KEY_PREFIX = 'authority-metadata'

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

  /** The provider's logout endpoint, or undefined where it has none. */
  async endSessionEndpoint(authority: string): Promise<string | undefined> {
    const isBuiltIn = this.#builtIn.has(new URL(authority).host)
    const { entity } = await (isBuiltIn ? this.#discover(authority) : this.#discovered(authority))
    const [tenant = ''] = new URL(authority).pathname.split('/').filter(Boolean)
    return entity?.end_session_endpoint?.replace(/\{tenant(?:id)?\}/, tenant)
  }

  #discovered(authority: string): Promise<Discovered> {
    const known = this.#known.get(authority)
    if (known !== undefined) return known.then((discovered) => this.#refreshed(authority, discovered))
    const first = this.#discover(authority)
    this.#known.set(authority, first)
    first.then(
      ({ entity }) => {
        if (entity?.endpointsFromNetwork || entity?.aliasesFromNetwork) return
        this.#builtIn.add(new URL(authority).host)
        this.#known.delete(authority)
      },
      () => this.#known.delete(authority),
    )
    return first
  }

  #refreshed(authority: string, discovered: Discovered): Discovered {
    if (Date.now() >= discovered.staleAt && !discovered.refreshing) {
      discovered.refreshing = true
      this.#discover(authority).then(
        (fresh) => this.#known.set(authority, Promise.resolve(fresh)),
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
    const memory = Object.entries(client.getTokenCache().getKVStore())
    const [, found] = memory.find(([key]) => key.startsWith(KEY_PREFIX)) ?? []
    const entity = found as AuthorityEntity | undefined
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
  if (entity === undefined) return {}
  return {
    authorityMetadata: JSON.stringify(entity),
    cloudDiscoveryMetadata: JSON.stringify({ metadata: [entity] }),
  }
}
