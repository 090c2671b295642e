import type { JsonCache } from '@azure/msal-node'
import { emptyCache, type SerializedCache } from '../../src/msal/schema.ts'

type Account = JsonCache['Account'][string]
type IdToken = JsonCache['IdToken'][string]
type AccessToken = JsonCache['AccessToken'][string]
type RefreshToken = JsonCache['RefreshToken'][string]

const ENVIRONMENT = 'login.example'

/** Entities as MSAL serializes them, with as little in them as it allows. */
export function accountOf(owner: string, more: Partial<Account> = {}): Account {
  return {
    home_account_id: owner,
    environment: ENVIRONMENT,
    realm: 'tenant',
    local_account_id: owner,
    username: owner,
    authority_type: 'MSSTS',
    ...more,
  } as Account
}

export function idTokenOf(owner: string, claims: object = {}): IdToken {
  const payload = Buffer.from(JSON.stringify(claims)).toString('base64url')
  return credential(owner, 'IdToken', `e30.${payload}.`, { realm: 'tenant' }) as IdToken
}

export function accessTokenOf(owner: string, target: string, more: Partial<AccessToken> = {}): AccessToken {
  const times = { cached_at: '0', expires_on: '10', extended_expires_on: '10' }
  return credential(owner, 'AccessToken', `access token of ${owner} for ${target}`, {
    ...times,
    realm: 'tenant',
    target,
    ...more,
  }) as AccessToken
}

export function refreshTokenOf(owner: string, more: Partial<RefreshToken> = {}): RefreshToken {
  return credential(owner, 'RefreshToken', `refresh token of ${owner}`, more) as RefreshToken
}

function credential(owner: string, type: string, secret: string, more: object) {
  const known = { home_account_id: owner, environment: ENVIRONMENT, client_id: 'client', secret }
  return { ...known, credential_type: type, ...more }
}

/** A cache with these sections, each entity under a key that says what it is. */
export function cacheOf(
  sections: {
    readonly [Section in keyof SerializedCache]?: SerializedCache[Section]
  },
): SerializedCache {
  return { ...emptyCache(), ...sections }
}
