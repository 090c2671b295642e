import type { AuthorizationResponse, ConfidentialClients, HostSession } from '../../src/index.ts'
import { SCOPES } from './entra.ts'

/** Signs in as a host does that makes state, nonce and PKCE challenge itself. */
export async function redeem(
  msal: ConfidentialClients,
  response: AuthorizationResponse,
): Promise<HostSession> {
  const { code, session_state: sessionState } =
    response instanceof URLSearchParams ? Object.fromEntries(response) : response
  const client = await msal.clientForSignIn()
  const request = { code: String(code), scopes: SCOPES, redirectUri: 'https://app.example/callback' }
  const result = await client.acquireTokenByCode(request)
  return msal.plugin.openSession(
    result,
    sessionState === undefined ? {} : { sessionState: String(sessionState) },
  )
}
