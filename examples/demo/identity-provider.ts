import type { Configuration } from '@azure/msal-node'

/** An app at its provider, as one fills it in at a portal. */
export interface Registration {
  readonly clientId: string
  readonly redirectUri: string
  readonly postLogoutRedirectUri?: string
  /** Where the provider reports that a session of the user's has ended. */
  readonly logoutUri?: string
}

/** Whose accounts sign in: a provider on this machine, or an Entra ID tenant. */
export interface IdentityProvider {
  /** What the page calls it. */
  readonly name: string
  /** What logout tokens are checked against; without `jwks`, the issuer's discovery document names the keys. */
  readonly logout: { readonly issuer: string; readonly jwks?: URL }
  /** What the app asks for, besides what MSAL asks for itself. */
  readonly scopes: string[]
  /** What the provider has to be told to give out a refresh token. */
  readonly prompt?: 'consent'
  /** Where browsers find it. */
  readonly origin: string
  /** Resolves to MSAL's configuration for this app. */
  register(app: Registration): Promise<Configuration>
  /** A URL that MSAL made, as a browser finds it. */
  browserUrl(url: string): string
  /** Calls an API that accepts the provider's access tokens, and resolves to what it says of the caller. */
  callApi(accessToken: string): Promise<ApiAnswer>
}

export interface ApiAnswer {
  readonly api: string
  /** Whom the API takes the caller for. */
  readonly caller: string
}

/** @throws {Error} when the API refuses */
export async function askWho(api: string, accessToken: string): Promise<Record<string, unknown>> {
  const response = await fetch(api, { headers: { authorization: `Bearer ${accessToken}` } })
  if (!response.ok) throw new Error(`The API at ${api} answered ${response.status}`)
  return (await response.json()) as Record<string, unknown>
}
