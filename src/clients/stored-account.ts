import type { AccountInfo, AuthenticationResult } from '@azure/msal-node'
import type { SerializedCache } from '../msal/schema.ts'

type TenantProfile =
  NonNullable<AccountInfo['tenantProfiles']> extends Map<string, infer Profile> ? Profile : never

/**
 * MSAL answers a silent call that names an account by its id alone with `account: null` when it hits the cache. This
 * is the account that was loaded, as MSAL would describe it.
 */
export function describeAccount(
  cache: SerializedCache | undefined,
  homeAccountId: string,
  { idToken, idTokenClaims }: AuthenticationResult,
): AccountInfo | null {
  const accounts = Object.values(cache?.Account ?? {})
  const account = accounts.find(({ home_account_id: id }) => id === homeAccountId)
  if (account === undefined) return null
  const claims = idTokenClaims as AccountInfo['idTokenClaims']
  const profiles = (account.tenantProfiles ?? []).map((json) => JSON.parse(json) as TenantProfile)
  const tenantId = claims?.tid ?? account.realm
  const profile = profiles.find((each) => each.tenantId === tenantId)
  const { name } = account
  const loginHint = claims?.login_hint
  return {
    homeAccountId,
    environment: account.environment,
    tenantId,
    username: profile?.username ?? account.username,
    localAccountId: profile?.localAccountId ?? account.local_account_id,
    authorityType: account.authority_type,
    tenantProfiles: new Map(profiles.map((each) => [each.tenantId, each])),
    idToken,
    ...(name === undefined ? {} : { name }),
    ...(loginHint === undefined ? {} : { loginHint }),
    ...(claims === undefined ? {} : { idTokenClaims: claims }),
  }
}
