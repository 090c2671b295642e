/** Decodes the claims of a JWT without verifying it: the caller has established trust. Returns {} for a non-JWT. */
export function claimsOf(jwt: string): Record<string, unknown> {
  return readClaims(jwt) ?? {}
}

/** As {@link claimsOf}; undefined for a non-JWT. */
export function readClaims(jwt: string): Record<string, unknown> | undefined {
  try {
    const [, payload = ''] = jwt.split('.', 2)
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString())
    return typeof claims === 'object' && claims !== null ? (claims as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
