import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { ProtocolMode } from '@azure/msal-node'
import { exportJWK, generateKeyPair } from 'jose'
import Provider, { type Configuration } from 'oidc-provider'
import { sendAsset } from './assets.ts'
import { askWho, type IdentityProvider } from './identity-provider.ts'
import { listen } from './listen.ts'
import { logoutPage } from './page/logout-page.ts'
import { contentSecurityPolicy, interact } from './provider-interaction.ts'
import { memoryAdapter } from './provider-memory.ts'
import { ForwardingNetwork, type HeldAnswer } from './provider-network.ts'

export interface ProviderOptions {
  /** Who the provider says it is. No path: MSAL would take the first path segment for a tenant. */
  issuer?: string
  /** 0 takes a free port. */
  port?: number
}

export interface RunningProvider extends IdentityProvider {
  /** For MSAL: `https`, as it insists. */
  readonly issuer: string
  /** Holds back what MSAL gets for this client's refresh tokens, until it is released. */
  holdRefreshes(clientId: string): HeldAnswer
  close(): Promise<void>
}

const hour = 3600
const day = 24 * hour

/**
 * A real OpenID provider on loopback, certified code and all, where any name may sign in.
 *
 * It has one name and two doors. MSAL talks only https, so its requests are forwarded as a TLS proxy would, with
 * headers that say so; the provider then speaks of itself as the issuer. A browser comes straight to loopback,
 * without those headers, and gets plain http URLs and cookies.
 */
export async function startProvider(options: ProviderOptions = {}): Promise<RunningProvider> {
  const { issuer = 'https://op.test', port = 0 } = options
  const adapter = memoryAdapter()
  const provider = new Provider(issuer, { ...(await configuration()), adapter })
  provider.proxy = true

  const handle = provider.callback()
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/interaction/')) void interact(provider, request, response)
    else if (!sendAsset(request, response)) void handle(request, response)
  })
  const { url: origin, close } = await listen(server, port)
  const network = new ForwardingNetwork(issuer, origin)

  return {
    name: 'an OpenID provider on this machine',
    issuer,
    origin,
    logout: { issuer, jwks: new URL('/jwks', origin) },
    scopes: ['notes.read'],
    prompt: 'consent',
    browserUrl: (url) => network.locate(url),
    register: async ({ clientId, redirectUri, postLogoutRedirectUri, logoutUri }) => {
      const clientSecret = randomBytes(32).toString('base64url')
      await adapter('Client').upsert(clientId, {
        client_id: clientId,
        client_secret: clientSecret,
        token_endpoint_auth_method: 'client_secret_post',
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: [redirectUri],
        ...(postLogoutRedirectUri && { post_logout_redirect_uris: [postLogoutRedirectUri] }),
        // These two make the provider put `sid`, its session's id, into the ID token.
        ...(logoutUri && { backchannel_logout_uri: logoutUri, backchannel_logout_session_required: true }),
      })
      return {
        auth: { clientId, clientSecret, authority: issuer, knownAuthorities: [new URL(issuer).host] },
        system: { protocolMode: ProtocolMode.OIDC, networkClient: network },
      }
    },
    callApi: async (accessToken) => {
      const { preferred_username } = await askWho(`${origin}/me`, accessToken)
      return { api: 'The provider’s userinfo endpoint', caller: String(preferred_username) }
    },
    holdRefreshes: (clientId) => network.holdRefreshes(clientId),
    close,
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
          ctx.set('content-security-policy', contentSecurityPolicy)
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
