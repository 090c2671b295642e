import { once } from 'node:events'
import { request as forward, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import type { Registration } from '../../examples/demo/identity-provider.ts'
import { type RunningProvider, startProvider } from '../../examples/demo/provider.ts'
import { startTlsServer, type TlsServer } from './tls-server.ts'

export interface TokenAnswer {
  readonly access_token: string
  readonly refresh_token: string
  readonly id_token: string
}

/** The demo's OpenID provider behind a proxy that ends TLS, which sees what passes. */
export class SecureProvider {
  /** What the token endpoint has answered, newest last. */
  readonly answers: TokenAnswer[] = []
  /** The access tokens that the API was called with, newest last. */
  readonly apiTokens: string[] = []
  readonly #server: TlsServer
  readonly #provider: RunningProvider

  private constructor(server: TlsServer, provider: RunningProvider) {
    this.#server = server
    this.#provider = provider
  }

  static async start(): Promise<SecureProvider> {
    const inner = Promise.withResolvers<RunningProvider>()
    const server = await startTlsServer(async (issuer) => {
      inner.resolve(await startProvider({ issuer }))
      return (request, response) => started.#pass(request, response)
    })
    const started = new SecureProvider(server, await inner.promise)
    return started
  }

  get issuer(): string {
    return this.#server.origin
  }

  /** An API that takes the provider's access tokens. */
  get apiUrl(): string {
    return `${this.issuer}/me`
  }

  /** What an app needs to know of it. */
  get environment(): Record<string, string> {
    return {
      AUTHORITY: this.issuer,
      PROTOCOL_MODE: 'OIDC',
      SCOPES: 'notes.read',
      API_URL: this.apiUrl,
      NODE_EXTRA_CA_CERTS: this.#server.certificate,
    }
  }

  /** Resolves to the client's secret. */
  async register(app: Registration): Promise<string> {
    return `${(await this.#provider.register(app)).auth.clientSecret}`
  }

  async close(): Promise<void> {
    await this.#server.close()
    await this.#provider.close()
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url = '/', headers } = request
    const inside = new URL(url, this.#provider.origin)
    const proxied = {
      ...headers,
      'x-forwarded-proto': 'https',
      'x-forwarded-host': new URL(this.issuer).host,
    }
    const inner = forward(inside, { method, headers: proxied })
    request.pipe(inner)
    const [answer] = (await once(inner, 'response')) as [IncomingMessage]
    const body = await text(answer)
    if (inside.pathname === '/me') this.apiTokens.push(headers.authorization?.replace('Bearer ', '') ?? '')
    if (inside.pathname === '/token' && answer.statusCode === 200) {
      this.answers.push(JSON.parse(body) as TokenAnswer)
    }
    response.writeHead(answer.statusCode ?? 500, answer.headers).end(body)
  }
}
