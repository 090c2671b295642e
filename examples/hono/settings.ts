// What the environment says of the app; ../README.md has the table. This file is the same in every web app here.

export const port = Number(process.env.PORT || 3000)
export const baseUrl = process.env.APP_URL || `http://localhost:${port}`
/** Signs the session's cookie. */
export const sessionSecret = required('SESSION_SECRET')

export const clientId = required('CLIENT_ID')
export const clientSecret = required('CLIENT_SECRET')
/** `https://login.microsoftonline.com/<tenant id>`, or the issuer of another OpenID provider. */
export const authority = required('AUTHORITY')
export const isEntra = process.env.PROTOCOL_MODE !== 'OIDC'

export const scopes = (process.env.SCOPES || 'User.Read').split(' ')
/** What the app calls with its users' tokens. */
export const apiUrl = process.env.API_URL || 'https://graph.microsoft.com/v1.0/me'

function required(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} must be set`)
  return value
}
