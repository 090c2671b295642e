import { matchesIssuer } from './issuer.ts'
import { onlyValue, type RequestParameters } from './request.ts'

/**
 * A front-channel logout request: Front-Channel Logout 1.0 §3. Nobody has signed it, so its largest effect may be
 * the end of the session that it names.
 */
export interface FrontChannelCallback {
  kind: 'front-channel'
  /** The provider's session. Absent, only the host's own session can tell whose sign-out it is. */
  sid?: string | undefined
  /** Whose `sid` it is: the configured issuer, or under a template one tenant's. Entra ID does not send it. */
  issuer?: string | undefined
}

/**
 * A front-channel logout request of an issuer that is not this handler's. It is to be ignored and answered like a
 * success (Front-Channel Logout 1.0 §3), so it is no error; and it is a kind of its own, without `sid`, so that
 * it cannot be mistaken for one that names a session here, or for one that names nobody.
 */
export interface ForeignCallback {
  kind: 'foreign-issuer'
  /** As it was sent. */
  issuer: string
}

/**
 * Reads `sid` and `iss`. The specification wants both or neither; Entra ID sends `sid` alone.
 * @param expected the issuer, or a template
 * @throws {LogoutCallbackError} when one is there twice, too long, or not text
 */
export function parseFrontChannel(
  query: RequestParameters,
  expected: string,
): FrontChannelCallback | ForeignCallback {
  const sid = onlyValue(query, 'sid')
  const issuer = onlyValue(query, 'iss')
  if (issuer !== undefined && !matchesIssuer(issuer, expected)) return { kind: 'foreign-issuer', issuer }
  return {
    kind: 'front-channel',
    ...(sid === undefined ? {} : { sid }),
    ...(issuer === undefined ? {} : { issuer }),
  }
}
