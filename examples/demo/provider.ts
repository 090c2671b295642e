import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { INetworkModule, NetworkRequestOptions, NetworkResponse } from '@azure/msal-node'
import { exportJWK, generateKeyPair } from 'jose'
import Provider, { type ClientMetadata, type Configuration } from 'oidc-provider'
import { loginPage } from './login-page.ts'
import { logoutPage } from './logout-page.ts'
import { memoryAdapter } from './provider-memory.ts'

export interface ProviderOptions {
  /** Who the provider says it is. No path: MSAL would take the first path segment for a tenant. */
  issuer?: string
  /** 0 takes a free port. */
  port?: number
}

export interface RunningProvider {
  /** For MSAL: `https`, as it insists. */
  readonly issuer: string
  /** For browsers: where the provider really listens. */
  readonly origin: string
  /** The keys that it signs with. */
  readonly jwksUri: URL
  /** MSAL's `system.networkClient`: takes requests for the issuer to the origin. */
  readonly networkClient: INetworkModule
  /** The same URL (of the authorization or logout endpoint) where a browser finds it. */
  browserUrl(url: string): string
  /** Registers a confidential client, as a portal would. Returns the secret made for it. */
  register(client: ClientMetadata): Promise<{ clientSecret: string }>
  close(): Promise<void>
}

const hour = 3600
const day = 24 * hour

/**
 * A real OpenID provider on loopback, certified code and all, where any name may sign in.
 *
 * It has one name and two doors. MSAL talks only https, so `networkClient` presents its requests as a
 * TLS proxy would, with forwarded headers; the provider then speaks of itself as the issuer. A browser
 * comes straight to loopback, without those headers, and gets plain http URLs and cookies.
 */
export async function startProvider(options: ProviderOptions = {}): Promise<RunningProvider> {
  const { issuer = 'https://op.test', port = 0 } = options
  const adapter = memoryAdapter()
  const provider = new Provider(issuer, { ...(await configuration()), adapter })
  provider.proxy = true

  const handle = provider.callback()
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/interaction/')) void interact(provider, request, response)
    else void handle(request, response)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  return {
    issuer,
    origin,
    jwksUri: new URL('/jwks', origin),
    networkClient: forwardingNetworkClient(issuer, origin),
    browserUrl: (url) => onOrigin(url, issuer, origin),
    register: async (client) => {
      const clientSecret = randomBytes(32).toString('base64url')
      const metadata = {
        token_endpoint_auth_method: 'client_secret_post' as const,
        ...client,
        client_secret: clientSecret,
      }
      await adapter('Client').upsert(client.client_id, metadata)
      return { clientSecret }
    },
    close: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

async function configuration(): Promise<Configuration> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  return {
    jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: 'RS256', use: 'sig', kid: 'demo' }] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    scopes: ['openid', 'profile', 'offline_access', 'notes.read'],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'] },
    conformIdTokenClaims: false,
    findAccount: (_ctx, accountId) => ({
      accountId,
      claims: () => ({ sub: accountId, name: accountId, preferred_username: accountId }),
    }),
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => {
          ctx.body = logoutPage({ name: ctx.oidc.session?.accountId, form })
        },
      },
    },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    rotateRefreshToken: true,
    ttl: {
      AccessToken: hour,
      AuthorizationCode: 60,
      IdToken: hour,
      Interaction: hour,
      RefreshToken: 14 * day,
      Session: 14 * day,
      Grant: 14 * day,
    },
    // Without the dispatcher that refuses loopback addresses: the clients' logout URLs are there.
    fetch: (input, init) => {
      const { dispatcher: _, ...rest } = (init ?? {}) as RequestInit & { dispatcher?: unknown }
      return fetch(input, rest)
    },
  }
}

/** The page between an authorization request and its answer: sign in, and consent to all that is asked. */
async function interact(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const { params, session } = await provider.interactionDetails(request, response)
    if (request.method !== 'POST') {
      response.setHeader('content-type', 'text/html; charset=utf-8')
      response.end(
        loginPage({
          client: String(params.client_id),
          scope: String(params.scope),
          name: session?.accountId,
        }),
      )
      return
    }
    const accountId = new URLSearchParams(await text(request)).get('name')?.trim()
    if (!accountId) {
      response.writeHead(303, { location: request.url }).end()
      return
    }
    const grant = new provider.Grant({ accountId, clientId: String(params.client_id) })
    grant.addOIDCScope(String(params.scope))
    await provider.interactionFinished(request, response, {
      login: { accountId },
      consent: { grantId: await grant.save() },
    })
  } catch (error) {
    response.writeHead(400, { 'content-type': 'text/plain' })
    response.end(
      `Please go back to the app and start again (${error instanceof Error ? error.message : error}).\n`,
    )
  }
}

function forwardingNetworkClient(issuer: string, origin: string): INetworkModule {
  const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': new URL(issuer).host }
  const send = async <T>(
    method: 'GET' | 'POST',
    url: string,
    options: NetworkRequestOptions = {},
  ): Promise<NetworkResponse<T>> => {
    const response = await fetch(onOrigin(url, issuer, origin), {
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
  return {
    sendGetRequestAsync: (url, options) => send('GET', url, options),
    sendPostRequestAsync: (url, options) => send('POST', url, options),
  }
}

function onOrigin(url: string, issuer: string, origin: string): string {
  const target = new URL(url)
  if (target.origin !== new URL(issuer).origin) throw new Error(`Not a URL of ${issuer}: ${target.origin}`)
  return `${origin}${target.pathname}${target.search}`
}
