import type { AccountInfo } from '@azure/msal-node'
import { ConfigurationError } from '../errors.ts'
import { createLogoutUrl } from '../logout/url.ts'
import type { SignOutRequest } from './requests.ts'

/**
 * The provider's logout URL, with the hints that the stored ID token gives.
 * @throws {ConfigurationError} without an endpoint, or when the request makes no valid URL
 */
export function signOutUrl(
  clientId: string,
  endSessionEndpoint: string | undefined,
  account: AccountInfo | undefined,
  request: SignOutRequest,
): URL {
  if (endSessionEndpoint === undefined) {
    throw new ConfigurationError('the authority has no end_session_endpoint: evict the account instead')
  }
  const { login_hint: loginHint } = (account?.idTokenClaims ?? {}) as { login_hint?: string }
  return createLogoutUrl({
    endSessionEndpoint,
    clientId,
    postLogoutRedirectUri: request.postLogoutRedirectUri,
    logoutHint: loginHint,
    // An ID token in a URL ends up in histories and logs.
    idTokenHint: loginHint === undefined ? account?.idToken : undefined,
    state: request.state,
  })
}
