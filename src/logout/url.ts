import { ConfigurationError } from '../errors.ts'
import { checkOptions } from '../guards.ts'
import { isValue } from './request.ts'

/** The parts of a logout URL: RP-Initiated Logout 1.0 §2. */
export interface LogoutUrlParameters {
  /** The provider's `end_session_endpoint`. Its own query stays. */
  endSessionEndpoint: string
  /** The application's client id: `client_id`. */
  clientId: string
  /** Where the provider sends the browser afterwards, exactly as it was registered. */
  postLogoutRedirectUri: string
  /** Who signs out: with Entra ID the ID token's `login_hint` claim, which spares the user the account picker. */
  logoutHint?: string | undefined
  /** The ID token. It ends up in the browser's history and in logs, so Entra ID's `logoutHint` is better. */
  idTokenHint?: string | undefined
  /** Comes back to the redirect URI unchanged. At most 1,024 characters; bind it to the browser. */
  state?: string | undefined
}

const NAMES = [
  'endSessionEndpoint',
  'clientId',
  'postLogoutRedirectUri',
  'logoutHint',
  'idTokenHint',
  'state',
]
/** A signed JWT has three parts, an encrypted one five. */
const JWT = /^[\w-]+(?:\.[\w-]*){2}(?:(?:\.[\w-]*){2})?$/
const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|\[::1\]|(?:.+\.)?localhost)$/
const NEVER_IN_A_URL = /[\s\\]|[^\P{Cc}]/u

/**
 * The URL to redirect the browser to, so that the provider ends its session too: RP-Initiated Logout 1.0, any OpenID
 * provider. Evict the account first.
 * @throws {ConfigurationError} naming the parameter that would make the request invalid
 *
 * @example
 * ```ts
 * const url = createLogoutUrl({
 *   endSessionEndpoint: 'https://login.microsoftonline.com/organizations/oauth2/v2.0/logout',
 *   clientId,
 *   postLogoutRedirectUri: 'https://app.example/signed-out',
 *   logoutHint: result.idTokenClaims.login_hint,
 * })
 * ```
 */
export function createLogoutUrl(parameters: LogoutUrlParameters): URL {
  checkOptions(
    parameters,
    NAMES,
    'createLogoutUrl needs an object with endSessionEndpoint, clientId and postLogoutRedirectUri',
  )
  const { endSessionEndpoint, clientId, postLogoutRedirectUri, logoutHint, idTokenHint, state } = parameters
  const url = checkUrl('endSessionEndpoint', endSessionEndpoint)
  checkUrl('postLogoutRedirectUri', postLogoutRedirectUri)
  for (const [name, value] of Object.entries({ clientId, logoutHint, state })) {
    if ((value !== undefined || name === 'clientId') && !isValue(value)) {
      throw new ConfigurationError(`${name} must be printable text of 1 to 1,024 characters`)
    }
  }
  if (idTokenHint !== undefined && !(typeof idTokenHint === 'string' && JWT.test(idTokenHint))) {
    throw new ConfigurationError('idTokenHint must be the ID token as the provider issued it')
  }
  const query = {
    client_id: clientId,
    post_logout_redirect_uri: postLogoutRedirectUri,
    logout_hint: logoutHint,
    id_token_hint: idTokenHint,
    state,
  }
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, value)
  }
  return url
}

/** A URL of https, or of http on this machine, that means the same to everybody; else undefined. */
export function secureUrl(text: unknown): URL | undefined {
  if (typeof text !== 'string' || NEVER_IN_A_URL.test(text) || !URL.canParse(text)) return undefined
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') return undefined
  const secure = url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.test(url.hostname))
  return secure ? url : undefined
}

function checkUrl(name: string, text: unknown): URL {
  const url = secureUrl(text)
  if (url === undefined || url.href.includes('#')) {
    throw new ConfigurationError(
      `${name} must be an https URL (http on the loopback interface), without a fragment or credentials`,
    )
  }
  return url
}
