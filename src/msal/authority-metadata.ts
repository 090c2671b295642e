import type { ConfidentialClientApplication } from '@azure/msal-node'

type Entities = Record<string, AuthorityEntity>

/** What MSAL's live store holds of an authority, as far as it matters here. */
interface AuthorityEntity {
  endpointsFromNetwork: boolean
  aliasesFromNetwork: boolean
  end_session_endpoint?: string
  /** Epoch seconds. */
  expiresAt: number
}

interface Discovered {
  entities: Entities
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
  readonly #discovered = new Map<string, Promise<Discovered>>()
  /** Hosts whose metadata MSAL has built in, so that there is nothing to keep. */
  readonly #builtIn = new Set<string>()

  /** @param makeClient a bare client of this authority */
  constructor(makeClient: (authority: string) => ConfidentialClientApplication) {
    this.#makeClient = makeClient
  }

  /**
   * Gives a new client what is known of its authority. The first use of an authority asks the provider, and
   * concurrent ones share the answer; later on it is asked again in the background, and kept if that fails.
   */
  async giveTo(client: ConfidentialClientApplication, authority: string): Promise<void> {
    if (this.#builtIn.has(new URL(authority).host)) return
    const { entities } = await this.#of(authority)
    const expiresAt = Math.floor((Date.now() + LIFETIME) / 1000)
    const memory = client.getTokenCache().getKVStore()
    for (const [key, entity] of Object.entries(entities)) {
      Object.assign(memory, { [key]: { ...entity, expiresAt } })
    }
  }

  /** The provider's logout endpoint, or undefined where it has none. */
  async endSessionEndpoint(authority: string): Promise<string | undefined> {
    const isBuiltIn = this.#builtIn.has(new URL(authority).host)
    const { entities } = await (isBuiltIn ? this.#discover(authority) : this.#of(authority))
    const endpoint = Object.values(entities).find(
      (entity) => entity.end_session_endpoint,
    )?.end_session_endpoint
    const [tenant = ''] = new URL(authority).pathname.split('/').filter(Boolean)
    return endpoint?.replace(/\{tenant(?:id)?\}/, tenant)
  }

  #of(authority: string): Promise<Discovered> {
    const known = this.#discovered.get(authority)
    if (known !== undefined) return known.then((discovered) => this.#refreshed(authority, discovered))
    const first = this.#discover(authority)
    this.#discovered.set(authority, first)
    first.then(
      ({ entities }) => {
        if (Object.values(entities).some(isFromNetwork)) return
        this.#builtIn.add(new URL(authority).host)
        this.#discovered.delete(authority)
      },
      () => this.#discovered.delete(authority),
    )
    return first
  }

  #refreshed(authority: string, discovered: Discovered): Discovered {
    if (Date.now() >= discovered.staleAt && !discovered.refreshing) {
      discovered.refreshing = true
      this.#discover(authority).then(
        (fresh) => this.#discovered.set(authority, Promise.resolve(fresh)),
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
    const entities = Object.fromEntries(memory.filter(([key]) => key.startsWith(KEY_PREFIX)))
    return { entities: entities as unknown as Entities, staleAt: Date.now() + LIFETIME, refreshing: false }
  }
}

function isFromNetwork({ endpointsFromNetwork, aliasesFromNetwork }: AuthorityEntity): boolean {
  return endpointsFromNetwork || aliasesFromNetwork
}
