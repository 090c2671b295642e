import type { AccountInfo } from '@azure/msal-node'
import { type AccountRef, type HostSession, signInRef } from '../accounts/identity.ts'
import { ConfigurationError } from '../errors.ts'
import { AccountPlugin } from '../kinds/account.ts'
import type { Backing } from '../kinds/cache-plugin.ts'
import { createLogoutUrl } from '../logout/url.ts'
import type { ClientFactory } from './client-factory.ts'

export interface SignOutRequest {
  /** Where the provider sends the browser afterwards; registered there exactly like this. */
  postLogoutRedirectUri: string
  /** Comes back unchanged; bind it to the browser. */
  state?: string | undefined
  /**
   * `'account'` (default): in every browser. `'session'`: in the browsers of this session of the provider; the account's
   * tokens go with its last session.
   */
  ends?: 'account' | 'session' | undefined
}

/** Evicts the account if the session is of its current sign-in, and leads on to the provider. */
export async function signOut(
  backing: Backing,
  clients: ClientFactory,
  session: HostSession | AccountRef,
  request: SignOutRequest,
): Promise<URL | undefined> {
  const { accounts } = backing
  const of = signInRef(session)
  const { homeAccountId, generation, sid, tenantId } = of
  const { ends = 'account' } = request
  if (ends !== 'account' && ends !== 'session') {
    throw new ConfigurationError("ends must be 'account' or 'session'")
  }
  const plugin = new AccountPlugin(backing, session)
  const authority = plugin.home(clients, (await plugin.loadAhead()).origin())
  const wasKnown = clients.isKnown(authority)
  const endpoint = await clients.endSessionEndpoint(authority).then(
    (url) => ({ url }),
    (error: unknown) => ({ error }),
  )
  // To discover a provider takes its time: a sign-in made meanwhile is another one, and stays.
  const client = clients.reader(wasKnown ? plugin : new AccountPlugin(backing, session), authority)
  const signedIn = await client.getTokenCache().getAllAccounts()
  const account = signedIn.find((each) => each.tenantId === tenantId) ?? signedIn[0]
  const url = 'error' in endpoint ? endpoint : signOutUrl(backing.clientId, endpoint.url, account, request)
  const isCurrent = account !== undefined || generation === undefined
  if (isCurrent || (await accounts.current([of])).length > 0) {
    if (ends === 'session' && sid !== undefined && generation !== undefined) {
      await accounts.endSession([homeAccountId], sid)
    } else {
      await accounts.evict([homeAccountId])
    }
  }
  // The provider is down: the user is still signed out here.
  if (url !== undefined && 'error' in url) throw url.error
  return url
}

/**
 * The provider's logout URL, with the hints that the stored ID token gives.
 * @returns undefined where the provider has no endpoint for it: the user is signed out here, and that is all there is
 * @throws {ConfigurationError} when the request makes no valid URL
 */
function signOutUrl(
  clientId: string,
  endSessionEndpoint: string | undefined,
  account: AccountInfo | undefined,
  request: SignOutRequest,
): URL | undefined {
  if (endSessionEndpoint === undefined) return undefined
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
