import type { AccountInfo, AuthenticationResult, ConfidentialClientApplication } from '@azure/msal-node'

type Entity = ReturnType<ReturnType<ConfidentialClientApplication['getTokenCache']>['getKVStore']>[string]
type AccountEntity = Extract<Entity, { localAccountId: string }>

/**
 * MSAL answers a silent call that names an account by its id alone with `account: null` when it hits the cache. This
 * is the account that the client's memory holds, as MSAL would describe it.
 */
export function describeAccount(
  client: ConfidentialClientApplication,
  homeAccountId: string,
  { idToken, idTokenClaims }: AuthenticationResult,
): AccountInfo | null {
  const entities = Object.values(client.getTokenCache().getKVStore())
  const account = entities.find((entity) => isAccount(entity) && entity.homeAccountId === homeAccountId)
  if (account === undefined || !isAccount(account)) return null
  const claims = idTokenClaims as AccountInfo['idTokenClaims']
  const { environment, realm, localAccountId, username, name, loginHint, authorityType } = account
  const profiles = account.tenantProfiles ?? []
  const tenantId = claims?.tid ?? realm
  const profile = profiles.find((each) => each.tenantId === tenantId)
  return {
    homeAccountId,
    environment,
    tenantId,
    username: profile?.username ?? username,
    localAccountId: profile?.localAccountId ?? localAccountId,
    authorityType,
    tenantProfiles: new Map(profiles.map((each) => [each.tenantId, each])),
    idToken,
    ...(name === undefined ? {} : { name }),
    ...(loginHint === undefined ? {} : { loginHint }),
    ...(claims === undefined ? {} : { idTokenClaims: claims }),
  }
}

function isAccount(entity: Entity): entity is AccountEntity {
  return typeof entity === 'object' && 'localAccountId' in entity && 'homeAccountId' in entity
}
