// What the environment says of the API; ../README.md has the table.

export const port = Number(process.env.PORT || 3000)

export const clientId = required('CLIENT_ID')
export const clientSecret = required('CLIENT_SECRET')
/** `https://login.microsoftonline.com/<tenant id>`, or the issuer of another provider that knows on-behalf-of. */
export const authority = required('AUTHORITY')
export const isEntra = process.env.PROTOCOL_MODE !== 'OIDC'
export const issuer = isEntra ? `${authority}/v2.0` : authority

/** What the caller's token must be good for: a scope that the registration of this API exposes. */
export const requiredScope = process.env.REQUIRED_SCOPE || 'access_as_user'
/** What is called on behalf of the caller, and what that takes. */
export const apiUrl = process.env.API_URL || 'https://graph.microsoft.com/v1.0/me'
export const scopes = (process.env.SCOPES || 'User.Read').split(' ')

function required(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} must be set`)
  return value
}
