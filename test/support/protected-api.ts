import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { promisify } from 'node:util'
import { makeFolder, removeFolder, requireProgram } from './programs.ts'

const execute = promisify(execFile)

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
  const { key, cert } = await selfSigned(folder)
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

/** A certificate for 127.0.0.1. */
async function selfSigned(folder: string): Promise<{ key: string; cert: string }> {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
  const request =
    'req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1'
  await execute(requireProgram('openssl'), [...request.split(' '), '-keyout', key, '-out', cert])
  return { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') }
}
