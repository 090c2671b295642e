import { isObject, parseJson } from './guards.ts'

/** Decodes the claims of a JWT without verifying it: the caller has established trust. Returns {} for a non-JWT. */
export function claimsOf(jwt: string): Record<string, unknown> {
  return readClaims(jwt) ?? {}
}

/** As {@link claimsOf}; undefined for a non-JWT. */
export function readClaims(jwt: string): Record<string, unknown> | undefined {
  const [, payload = ''] = jwt.split('.', 2)
  const claims = parseJson(Buffer.from(payload, 'base64url').toString())
  return isObject(claims) ? claims : undefined
}
