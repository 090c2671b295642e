// What signs users in and out, and gets their tokens. This file is the same in every web app here.
import { ProtocolMode } from '@azure/msal-node'
import { ConfidentialClients, LogoutHandler } from 'msal-keyv'
import { apiUrl, authority, baseUrl, clientId, clientSecret, isEntra, scopes } from './settings.ts'
import { encryptionKeys, openStore } from './store.ts'

export const msal = new ConfidentialClients(
  {
    auth: {
      clientId,
      clientSecret, // in production rather a certificate, or a managed identity's assertion
      authority,
      knownAuthorities: isEntra ? [] : [new URL(authority).host],
    },
    system: { protocolMode: isEntra ? ProtocolMode.AAD : ProtocolMode.OIDC },
  },
  { store: await openStore(), encryptionKeys: encryptionKeys() },
)

export const logout = new LogoutHandler(msal, { issuer: isEntra ? `${authority}/v2.0` : authority })

export const signInRequest = {
  scopes,
  redirectUri: `${baseUrl}/callback`,
  // OpenID Connect Core 1.0 §11: without it, a provider may leave out the refresh token. Entra ID does not.
  prompt: isEntra ? undefined : 'consent',
}

export const signOutRequest = { postLogoutRedirectUri: `${baseUrl}/` }

export async function callApi(accessToken: string): Promise<unknown> {
  const response = await fetch(apiUrl, { headers: { authorization: `Bearer ${accessToken}` } })
  if (!response.ok) throw new Error(`The API answered ${response.status}`)
  return response.json()
}
