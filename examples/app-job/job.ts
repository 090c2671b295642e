// A job that acts as itself: no user, no sign-out. Run it as often as you like: it asks for a new token when the stored
// one is about to expire.
import { ProtocolMode } from '@azure/msal-node'
import { ConfidentialClients } from 'msal-keyv'
import { encryptionKeys, openStore } from './store.ts'

const authority = required('AUTHORITY')
const isEntra = process.env.PROTOCOL_MODE !== 'OIDC'
const tenantId = process.env.TENANT_ID || new URL(authority).pathname.slice(1) || 'none'
const scopes = (process.env.SCOPES || 'https://graph.microsoft.com/.default').split(' ')
const apiUrl = process.env.API_URL || 'https://graph.microsoft.com/v1.0/users?$select=displayName&$top=5'

const store = await openStore()
const msal = new ConfidentialClients(
  {
    auth: {
      clientId: required('CLIENT_ID'),
      clientSecret: required('CLIENT_SECRET'), // in production rather a certificate, or a managed identity's assertion
      authority,
      knownAuthorities: isEntra ? [] : [new URL(authority).host],
    },
    system: { protocolMode: isEntra ? ProtocolMode.AAD : ProtocolMode.OIDC },
  },
  { store, encryptionKeys: encryptionKeys() },
)

try {
  const { accessToken, fromCache } = await msal.acquireTokenByClientCredential({ tenantId, scopes })
  const response = await fetch(apiUrl, { headers: { authorization: `Bearer ${accessToken}` } })
  if (!response.ok) throw new Error(`The API answered ${response.status}`)
  console.log(fromCache ? 'With a stored token:' : 'With a new token:', await response.json())
} finally {
  await store.disconnect()
}

function required(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} must be set`)
  return value
}
