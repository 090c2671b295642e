import { matchesIssuer } from './issuer.ts'
import { onlyValue, type RequestParameters } from './request.ts'

/**
 * A front-channel logout request: Front-Channel Logout 1.0 §3. Nobody has signed it, so its largest effect may be
 * the end of the session that it names.
 */
export interface FrontChannelCallback {
  kind: 'front-channel'
  /** The provider's session. Without it, only the host's own session can tell whose sign-out it is. */
  sid?: string | undefined
  /** Whose `sid` it is: the configured issuer, or under a template one tenant's. Entra ID does not send it. */
  issuer?: string | undefined
}

/**
 * A front-channel logout request of another issuer. The specification has it ignored and answered like a success
 * (Front-Channel Logout 1.0 §3), so it is no error. It is a kind of its own, without `sid`, so that nobody takes it
 * for one that names a session here, or for one that names nobody.
 */
export interface ForeignCallback {
  kind: 'foreign-issuer'
  /** As it was sent. */
  issuer: string
}

/**
 * Reads `sid` and `iss`. The specification wants both or neither; Entra ID sends `sid` alone.
 * @param expected the issuer, or a template
 * @throws {BadRequestError} when one of them occurs twice, is too long, or is not text
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
