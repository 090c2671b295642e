import type { INetworkModule, NetworkRequestOptions, NetworkResponse } from '@azure/msal-node'

/** An answer of the provider that MSAL does not get yet. */
export interface HeldAnswer {
  /** Resolves once the provider has given the answer. */
  readonly given: Promise<void>
  release(): void
}

interface Hold {
  readonly clientId: string
  given(): void
  readonly released: Promise<void>
}

/**
 * MSAL's way to a provider on loopback. MSAL talks only https, so requests for the issuer go to the origin with the
 * headers of a proxy that has ended TLS.
 */
export class ForwardingNetwork implements INetworkModule {
  readonly #issuer: string
  readonly #origin: string
  readonly #holds = new Set<Hold>()

  constructor(issuer: string, origin: string) {
    this.#issuer = issuer
    this.#origin = origin
  }

  sendGetRequestAsync<T>(url: string, options?: NetworkRequestOptions): Promise<NetworkResponse<T>> {
    return this.#send('GET', url, options)
  }

  async sendPostRequestAsync<T>(url: string, options?: NetworkRequestOptions): Promise<NetworkResponse<T>> {
    const answer = await this.#send<T>('POST', url, options)
    const form = new URLSearchParams(options?.body)
    if (form.get('grant_type') === 'refresh_token') await this.#delay(form.get('client_id'))
    return answer
  }

  /** Holds back what the provider answers to this client's refreshes. */
  holdRefreshes(clientId: string): HeldAnswer {
    const given = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    const hold = { clientId, given: given.resolve, released: released.promise }
    this.#holds.add(hold)
    return {
      given: given.promise,
      release: () => {
        this.#holds.delete(hold)
        released.resolve()
      },
    }
  }

  /** The same URL at the origin. */
  locate(url: string): string {
    const target = new URL(url)
    if (target.origin !== new URL(this.#issuer).origin) {
      throw new Error(`Not a URL of ${this.#issuer}: ${target.origin}`)
    }
    return `${this.#origin}${target.pathname}${target.search}`
  }

  async #delay(clientId: string | null): Promise<void> {
    for (const hold of this.#holds) {
      if (hold.clientId !== clientId) continue
      hold.given()
      await hold.released
    }
  }

  async #send<T>(
    method: 'GET' | 'POST',
    url: string,
    options: NetworkRequestOptions = {},
  ): Promise<NetworkResponse<T>> {
    const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': new URL(this.#issuer).host }
    const response = await fetch(this.locate(url), {
      method,
      headers: { ...options.headers, ...forwarded },
      body: options.body ?? null,
    })
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: (await response.json()) as T,
    }
  }
}
