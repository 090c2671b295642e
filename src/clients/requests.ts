import type { AuthorizationCodeRequest, ClientCredentialRequest, SilentFlowRequest } from '@azure/msal-node'

/** MSAL's request without `code` where the authorization response brings it. */
export type CodeRequest = Omit<AuthorizationCodeRequest, 'code'> & { code?: string | undefined }

/** MSAL's request without `account`, which is the first argument. */
export type SilentRequest = Omit<SilentFlowRequest, 'account'>

/** MSAL's request with the tenant whose resources the token is for, which sets the authority. */
export type AppTokenRequest = Omit<ClientCredentialRequest, 'authority' | 'scopes'> & {
  tenantId: string
  scopes: string[]
}

export interface SignOutRequest {
  /** Where the provider sends the browser afterwards; registered there exactly like this. */
  postLogoutRedirectUri: string
  /** Comes back unchanged; bind it to the browser. */
  state?: string | undefined
  /**
   * `'account'` (default): in every browser. `'session'`: in the browsers of this session of the provider; the account's
   * tokens go with its last session.
   */
  ends?: 'account' | 'session' | undefined
}
