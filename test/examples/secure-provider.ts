import { once } from 'node:events'
import { request as forward, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { text } from 'node:stream/consumers'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import type { Registration } from '../../examples/demo/identity-provider.ts'
import { startProvider } from '../../examples/demo/provider.ts'
import { selfSigned } from '../support/certificate.ts'
import { freePort } from '../support/free-port.ts'
import { makeFolder, removeFolder } from '../support/programs.ts'

export interface TokenAnswer {
  readonly access_token: string
  readonly refresh_token: string
  readonly id_token: string
}

export interface SecureProvider {
  readonly issuer: string
  /** An API that takes the provider's access tokens. */
  readonly apiUrl: string
  /** The file with the certificate, which this process trusts and an app has to be told of. */
  readonly certificate: string
  /** Resolves to the client's secret. */
  register(app: Registration): Promise<string>
  /** What the token endpoint has answered, newest last. */
  readonly answers: TokenAnswer[]
  /** The access tokens that the API was called with, newest last. */
  readonly apiTokens: string[]
  close(): Promise<void>
}

/** The demo's OpenID provider behind a proxy that ends TLS, which sees what passes. */
export async function startSecureProvider(): Promise<SecureProvider> {
  const folder = await makeFolder()
  const { key, cert, path } = await selfSigned(folder, 'DNS:localhost')
  const trusted = getCACertificates('default')
  setDefaultCACertificates([...trusted, cert])
  const port = await freePort()
  const issuer = `https://localhost:${port}`
  const provider = await startProvider({ issuer })
  const answers: TokenAnswer[] = []
  const apiTokens: string[] = []

  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url = '/', headers } = request
    const inside = new URL(url, provider.origin)
    const proxied = { ...headers, 'x-forwarded-proto': 'https', 'x-forwarded-host': `localhost:${port}` }
    const inner = forward(inside, { method, headers: proxied })
    request.pipe(inner)
    const [answer] = (await once(inner, 'response')) as [IncomingMessage]
    if (inside.pathname === '/me') apiTokens.push(headers.authorization?.replace('Bearer ', '') ?? '')
    const body = await text(answer)
    if (inside.pathname === '/token' && answer.statusCode === 200)
      answers.push(JSON.parse(body) as TokenAnswer)
    response.writeHead(answer.statusCode ?? 500, answer.headers).end(body)
  }

  const server = createServer({ key, cert }, (request, response) => {
    pass(request, response).catch((error: Error) => response.destroy(error))
  })
  server.listen(port, 'localhost')
  await once(server, 'listening')

  return {
    issuer,
    apiUrl: `${issuer}/me`,
    certificate: path,
    register: async (app) => `${(await provider.register(app)).auth.clientSecret}`,
    answers,
    apiTokens,
    close: async () => {
      setDefaultCACertificates(trusted)
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
      await provider.close()
      await removeFolder(folder)
    },
  }
}
