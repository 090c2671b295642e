import { InteractionRequiredAuthError, ProtocolMode } from '@azure/msal-node'
import Fastify from 'fastify'
import { AccountEvictedError, ConfidentialClients, StoreUnavailableError } from 'msal-keyv'
import { verifiedToken } from './access-token.ts'
import { apiUrl, authority, clientId, clientSecret, isEntra, port, scopes } from './settings.ts'
import { encryptionKeys, openStore } from './store.ts'

const msal = new ConfidentialClients(
  {
    auth: {
      clientId,
      clientSecret, // in production rather a certificate, or a managed identity's assertion
      authority,
      knownAuthorities: isEntra ? [] : [new URL(authority).host],
    },
    system: { protocolMode: isEntra ? ProtocolMode.AAD : ProtocolMode.OIDC },
  },
  { store: await openStore(), encryptionKeys: encryptionKeys() },
)

const app = Fastify()

app.get('/me', async (request, reply) => {
  const oboAssertion = await verifiedToken(request.headers.authorization)
  if (oboAssertion === undefined) return refuse('Bearer error="invalid_token"')
  try {
    const { accessToken } = await msal.acquireTokenOnBehalfOf({ oboAssertion, scopes })
    return await callApi(accessToken)
  } catch (error) {
    // The user was evicted after this token was issued: the caller has to get a new one.
    if (error instanceof AccountEvictedError) return refuse('Bearer error="invalid_token"')
    if (error instanceof InteractionRequiredAuthError) return refuse(challenge(error))
    if (error instanceof StoreUnavailableError)
      return reply.code(503).send({ error: 'try again in a moment' })
    throw error
  }

  function refuse(authenticate: string) {
    return reply.code(401).header('www-authenticate', authenticate).send({ error: 'sign in again' })
  }
})

await app.listen({ port })

async function callApi(accessToken: string): Promise<unknown> {
  const response = await fetch(apiUrl, { headers: { authorization: `Bearer ${accessToken}` } })
  if (!response.ok) throw new Error(`The API answered ${response.status}`)
  return response.json()
}

/** What the provider demands of the user, for the caller to pass on when it signs the user in. */
function challenge({ claims }: InteractionRequiredAuthError): string {
  if (!claims) return 'Bearer error="invalid_token"'
  return `Bearer error="insufficient_claims", claims="${Buffer.from(claims).toString('base64')}"`
}
