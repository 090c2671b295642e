// Whether an incoming token is of this provider and for this API. MSAL and msal-keyv check none: that is the API's part.
import { createRemoteJWKSet, errors, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { clientId, issuer, requiredScope } from './settings.ts'

let keys: JWTVerifyGetKey | undefined

/** Resolves to the token of a user who may call this API, or to undefined. */
export async function verifiedToken(authorization = ''): Promise<string | undefined> {
  const [, token] = /^Bearer ([\w.~+/-]+=*)$/i.exec(authorization) ?? []
  if (token === undefined) return undefined
  keys ??= await discoverKeys()
  try {
    const { payload } = await jwtVerify(token, keys, { issuer, audience: clientId, requiredClaims: ['exp'] })
    return `${payload.scp ?? ''}`.split(' ').includes(requiredScope) ? token : undefined
  } catch (error) {
    // Others are of the network: the caller's token may be right.
    if (error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout)) return undefined
    throw error
  }
}

async function discoverKeys(): Promise<JWTVerifyGetKey> {
  const response = await fetch(`${issuer}/.well-known/openid-configuration`)
  if (!response.ok) throw new Error(`The provider answered ${response.status}`)
  const { jwks_uri } = (await response.json()) as { jwks_uri: string }
  return createRemoteJWKSet(new URL(jwks_uri))
}
