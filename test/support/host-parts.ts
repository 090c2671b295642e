import { Keyv } from 'keyv'
import { ConfidentialClients, LogoutHandler, type LogoutOptions } from '../../src/index.ts'
import type { EntraStandIn } from './entra.ts'
import type { HostParts, RunningHost } from './hosts.ts'
import { redeem } from './redeem.ts'

const state = 'the state of the authorization request'

/** What a host of many tenants makes at its start. */
export function makeHostParts(
  entra: EntraStandIn,
  jwks?: LogoutOptions['jwks'],
): HostParts & { readonly msal: ConfidentialClients } {
  const msal = new ConfidentialClients(entra.configuration(), { store: new Keyv() })
  const issuer = 'https://login.microsoftonline.com/{tenantid}/v2.0'
  return {
    msal,
    logout: new LogoutHandler(msal, { issuer, jwks }),
    signIn: (response) => redeem(msal, response),
  }
}

/** Where the provider sends the browser after a sign-in. */
export function callbackUrl({ url }: RunningHost, code: string): string {
  return `${url}/callback?${new URLSearchParams({ code, state })}`
}

/** Where it sends the browser, or posts to, after a sign-out. */
export function logoutUrl({ url }: RunningHost, parameters: Record<string, string> = {}): string {
  return `${url}/logout-callback?${new URLSearchParams(parameters)}`
}
