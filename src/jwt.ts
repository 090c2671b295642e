/** The claims of a JWT, unverified: that it is genuine, somebody else has made sure. Empty for what is none. */
export function claimsOf(jwt: string): Record<string, unknown> {
  try {
    const [, payload = ''] = jwt.split('.', 2)
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString())
    return typeof claims === 'object' && claims !== null ? (claims as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
