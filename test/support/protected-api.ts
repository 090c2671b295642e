import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { selfSigned } from './certificate.ts'
import { makeFolder, removeFolder } from './programs.ts'

export interface ProtectedApi {
  /** `https`: the Azure SDK and the Graph client give a token to nothing else. */
  readonly url: string
  /** The tokens that came in, since the last look. */
  tokens(): string[]
  /** From here on this token gets a challenge: continuous access evaluation. */
  revoke(token: string, claims: string): void
  close(): Promise<void>
}

/**
 * An API on loopback that answers with who the bearer of the token is, over TLS. This process trusts its certificate
 * until it is closed.
 */
export async function startProtectedApi(
  ownerOf: (token: string) => string | undefined,
): Promise<ProtectedApi> {
  const folder = await makeFolder()
  const { key, cert } = await selfSigned(folder, 'IP:127.0.0.1')
  const trusted = getCACertificates('default')
  setDefaultCACertificates([...trusted, cert])
  const challenges = new Map<string, string>()
  let seen: string[] = []

  const server = createServer({ key, cert }, (request, response) => {
    const token = request.headers.authorization?.replace(/^Bearer /, '') ?? ''
    seen.push(token)
    const claims = challenges.get(token)
    if (claims !== undefined || ownerOf(token) === undefined) {
      const challenge = claims && `, error="insufficient_claims", claims="${btoa(claims)}"`
      response.writeHead(401, { 'www-authenticate': `Bearer realm=""${challenge ?? ''}` }).end()
      return
    }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ id: ownerOf(token), path: request.url }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tokens() {
      const tokens = seen
      seen = []
      return tokens
    },
    revoke: (token, claims) => void challenges.set(token, claims),
    async close() {
      setDefaultCACertificates(trusted)
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
      await removeFolder(folder)
    },
  }
}
