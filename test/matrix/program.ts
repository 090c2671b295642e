// What a host writes against the types. The matrix compiles it with each TypeScript; here it is checked as any file.
import { type AccountInfo, ConfidentialClientApplication, type Configuration } from '@azure/msal-node'
import { Keyv } from 'keyv'
import {
  ConfidentialClients,
  ConfigurationError,
  generateEncryptionKey,
  type HostSession,
  KeyvCachePlugin,
  type LogoutCallback,
  LogoutHandler,
  type LogoutOutcome,
  MsalKeyvError,
  parseLogoutCallback,
} from '../../src/index.ts'

const configuration: Configuration = { auth: { clientId: 'app', clientSecret: 'not a secret' } }
const store = new Keyv()
const scopes = ['User.Read']
const issuer = 'https://login.microsoftonline.com/{tenantid}/v2.0'

export const msal = new ConfidentialClients(configuration, {
  store,
  encryptionKeys: [generateEncryptionKey()],
  namespace: undefined,
})
export const logout = new LogoutHandler(msal, { issuer, algorithms: undefined })
const plugin = new KeyvCachePlugin({ store, clientId: 'app' })

export async function signIn(code: string): Promise<HostSession> {
  const client = new ConfidentialClientApplication({ ...configuration, cache: { cachePlugin: plugin } })
  const result = await client.acquireTokenByCode({
    code,
    scopes,
    redirectUri: 'https://app.example/callback',
  })
  return plugin.openSession(result)
}

export async function callApi(session: HostSession): Promise<string> {
  const { accessToken } = await msal.acquireTokenSilent(session, { scopes })
  return accessToken
}

export async function callApiWithOwnClient(session: HostSession): Promise<number | undefined> {
  const cachePlugin = plugin.forAccount(session)
  const client = new ConfidentialClientApplication({ ...configuration, cache: { cachePlugin } })
  const account = { homeAccountId: session.homeAccountId } as AccountInfo
  const { expiresOn } = await client.acquireTokenSilent({ account, scopes })
  return expiresOn?.getTime()
}

export async function handleLogout(method: string, url: string): Promise<LogoutOutcome> {
  const callback: LogoutCallback = await parseLogoutCallback({ method, url }, { issuer, clientId: 'app' })
  if (callback.kind === 'front-channel' && callback.sid === undefined) throw new Error('no session named')
  return logout.handle({ method, url })
}

export function isOurs(error: unknown): string | undefined {
  if (error instanceof ConfigurationError) return error.message
  return error instanceof MsalKeyvError ? error.code : undefined
}
