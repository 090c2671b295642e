import { askWho, type IdentityProvider } from './identity-provider.ts'

export interface EntraSettings {
  readonly clientId: string
  readonly clientSecret: string
  /** The directory's id, or a domain name of it. */
  readonly tenantId: string
}

const login = 'https://login.microsoftonline.com'

/** A tenant of Entra ID, where somebody has registered the app. */
export function entraTenant({ clientId, clientSecret, tenantId }: EntraSettings): IdentityProvider {
  return {
    name: `Entra ID, tenant ${tenantId}`,
    logout: { issuer: `${login}/{tenantid}/v2.0` },
    scopes: ['User.Read'],
    origin: login,
    register: async () => ({ auth: { clientId, clientSecret, authority: `${login}/${tenantId}` } }),
    browserUrl: (url) => url,
    callApi: async (accessToken) => {
      const { userPrincipalName } = await askWho('https://graph.microsoft.com/v1.0/me', accessToken)
      return { api: 'Microsoft Graph', caller: String(userPrincipalName) }
    },
  }
}
