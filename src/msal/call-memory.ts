import type { AccountInfo, AuthenticationResult, ConfidentialClientApplication } from '@azure/msal-node'

/** What is in the memory of a client that was made for one call. */
export type CallMemory = ReturnType<ReturnType<ConfidentialClientApplication['getTokenCache']>['getKVStore']>
type Entity = CallMemory[string]
type Account = Extract<Entity, { localAccountId: string }>
type AccessToken = Extract<Entity, { cachedAt: string }>

export function memoryOf(client: ConfidentialClientApplication): CallMemory {
  return client.getTokenCache().getKVStore()
}

/** What MSAL knows of an access token that it returned. */
export function findAccessToken(memory: CallMemory, secret: string): AccessToken | undefined {
  return entitiesOf(memory).find((each): each is AccessToken => 'cachedAt' in each && each.secret === secret)
}

/**
 * MSAL answers a silent call that names an account by its id alone with `account: null` when it hits the cache. This
 * is the account that it has, as MSAL would describe it.
 */
export function describeAccount(
  memory: CallMemory,
  homeAccountId: string,
  { idToken, idTokenClaims }: AuthenticationResult,
): AccountInfo | null {
  const isIt = (each: object): each is Account =>
    'localAccountId' in each && 'homeAccountId' in each && each.homeAccountId === homeAccountId
  const account = entitiesOf(memory).find(isIt)
  if (account === undefined) return null
  const claims = idTokenClaims as AccountInfo['idTokenClaims']
  const profiles = account.tenantProfiles ?? []
  const tenantId = claims?.tid ?? account.realm
  const profile = profiles.find((each) => each.tenantId === tenantId)
  const { name } = account
  const loginHint = claims?.login_hint
  return {
    homeAccountId,
    environment: account.environment,
    tenantId,
    username: profile?.username ?? account.username,
    localAccountId: profile?.localAccountId ?? account.localAccountId,
    authorityType: account.authorityType,
    tenantProfiles: new Map(profiles.map((each) => [each.tenantId, each])),
    idToken,
    ...(name === undefined ? {} : { name }),
    ...(loginHint === undefined ? {} : { loginHint }),
    ...(claims === undefined ? {} : { idTokenClaims: claims }),
  }
}

function entitiesOf(memory: CallMemory): Exclude<Entity, string>[] {
  return Object.values(memory).filter((each) => typeof each === 'object')
}
