import { gunzipSync, gzipSync } from 'node:zlib'
import {
  type AccountInfo,
  ConfidentialClientApplication,
  type Configuration,
  type ICachePlugin,
  InteractionRequiredAuthError,
  type TokenCacheContext,
} from '@azure/msal-node'
import { SCOPES } from '../support/entra.ts'
import { AuthProvider } from './auth-provider-before.ts'
import type { App, Settings } from './messages.ts'
import { type Redis, Sessions } from './sessions.ts'

export interface Parts {
  readonly configuration: Configuration
  readonly redis: Redis
  readonly settings: Settings
}

export const redirectUri = 'https://app.example/callback'

export async function oldServer(parts: Parts): Promise<App> {
  const { kind } = parts.settings
  if (kind === 'distributed before') return distributed(parts)
  if (kind === 'passport before') return passport(parts)
  return withPlugin(parts, kind === 'blob before' ? blobOf(parts.redis) : recordsOf(parts.redis))
}

/** A token, or undefined where MSAL says that the user has to sign in. */
export async function tokenOrNothing(call: Promise<{ accessToken: string } | null>) {
  try {
    return (await call)?.accessToken
  } catch (error) {
    const { errorCode } = error as { errorCode?: string }
    if (error instanceof InteractionRequiredAuthError || errorCode === 'no_tokens_found') return undefined
    throw error
  }
}

type PluginOf = (account: { homeAccountId: string } | undefined) => ICachePlugin

/** One text for everybody. */
function blobOf(redis: Redis): PluginOf {
  return () => ({
    async beforeCacheAccess({ tokenCache }: TokenCacheContext) {
      tokenCache.deserialize((await redis.get('msal-cache')) ?? '')
    },
    async afterCacheAccess({ tokenCache, cacheHasChanged }: TokenCacheContext) {
      if (cacheHasChanged) await redis.set('msal-cache', tokenCache.serialize())
    },
  })
}

/** A record for each account, compressed. */
function recordsOf(redis: Redis): PluginOf {
  return (account) => ({
    async beforeCacheAccess({ tokenCache }: TokenCacheContext) {
      const stored = account && (await redis.get(`tokens:${account.homeAccountId}`))
      if (stored) tokenCache.deserialize(gunzipSync(Buffer.from(stored, 'base64')).toString())
    },
    async afterCacheAccess({ tokenCache, cacheHasChanged }: TokenCacheContext) {
      if (!cacheHasChanged) return
      const serialized = tokenCache.serialize()
      const [entity] = Object.values((JSON.parse(serialized) as { Account: object }).Account)
      const id = (entity as { home_account_id: string } | undefined)?.home_account_id
      if (id !== undefined) await redis.set(`tokens:${id}`, gzipSync(serialized).toString('base64'))
      else await redis.del(`tokens:${account?.homeAccountId}`)
    },
  })
}

function withPlugin({ configuration, redis }: Parts, pluginOf: PluginOf): App {
  const sessions = new Sessions(redis)
  const client = (account?: { homeAccountId: string }) =>
    new ConfidentialClientApplication({ ...configuration, cache: { cachePlugin: pluginOf(account) } })
  return {
    async signIn(session, code) {
      const signingIn = client()
      await signingIn.getTokenCache().getAllAccounts()
      const { account } = await signingIn.acquireTokenByCode({ code, scopes: SCOPES, redirectUri })
      if (account) await sessions.set(session, { account })
    },
    async token(session, forceRefresh) {
      const { account } = await sessions.get(session)
      if (account === undefined) return undefined
      const request = { account: account as AccountInfo, scopes: SCOPES, forceRefresh }
      return tokenOrNothing(client(account).acquireTokenSilent(request))
    },
    async signOut(session) {
      const { account } = await sessions.get(session)
      const cache = client(account).getTokenCache()
      const stored = await cache.getAccountByHomeId(account?.homeAccountId ?? '')
      if (stored) await cache.removeAccount(stored)
      await sessions.destroy(session)
    },
  }
}

function distributed({ configuration, redis }: Parts): App {
  const sessions = new Sessions(redis)
  const cacheClient = {
    get: async (key: string) => (await redis.get(key)) ?? '',
    set: async (key: string, value: string) => (await redis.set(key, value)) ?? '',
  }
  const provider = new AuthProvider(configuration, cacheClient, sessions)
  return {
    async signIn(session, code) {
      const request = { code, scopes: SCOPES, redirectUri }
      const { account } = await provider.getTokenInteractive(request, session)
      if (account) await sessions.set(session, { account })
    },
    async token(session, forceRefresh) {
      const { account } = await sessions.get(session)
      if (account === undefined) return undefined
      const request = { account: account as AccountInfo, scopes: SCOPES, forceRefresh }
      return tokenOrNothing(provider.getTokenSilent(request, session))
    },
    async signOut(session) {
      // The plugin knows no deletion, so the host deletes the key.
      const { account } = await sessions.get(session)
      if (account) await redis.del(account.homeAccountId)
      await sessions.destroy(session)
    },
  }
}

interface TokenResponse {
  readonly access_token?: string
  readonly refresh_token?: string
}

/**
 * What an app does with the tokens that passport-azure-ad's verify callback gets: the refresh token goes into the
 * session. The package itself is archived and wants a provider with https; MSAL has no part in such an app.
 */
function passport({ configuration, redis }: Parts): App {
  const sessions = new Sessions(redis)
  const url = `${configuration.auth.authority}/oauth2/v2.0/token`
  const ask = async (parameters: Record<string, string>): Promise<TokenResponse> => {
    const scope = `${SCOPES.join(' ')} openid profile offline_access`
    const body = new URLSearchParams({ ...parameters, scope }).toString()
    const response = await configuration.system?.networkClient?.sendPostRequestAsync<TokenResponse>(url, {
      body,
    })
    return response?.body ?? {}
  }
  return {
    async signIn(session, code) {
      const { refresh_token: refreshToken } = await ask({ grant_type: 'authorization_code', code })
      if (refreshToken) await sessions.set(session, { refreshToken })
    },
    async token(session) {
      const { refreshToken } = await sessions.get(session)
      if (refreshToken === undefined) return undefined
      const response = await ask({ grant_type: 'refresh_token', refresh_token: refreshToken })
      return response.access_token
    },
    async signOut(session) {
      await sessions.destroy(session)
    },
  }
}
