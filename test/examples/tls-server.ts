import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { selfSigned } from '../support/certificate.ts'
import { freePort } from '../support/free-port.ts'
import { makeFolder, removeFolder } from '../support/programs.ts'

export interface TlsServer {
  readonly origin: string
  /** The file with the certificate, which this process trusts until it is closed, and an app has to be told of. */
  readonly certificate: string
  close(): Promise<void>
}

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>

/** An identity provider's way into the world: MSAL talks `https` only. */
export async function startTlsServer(makeHandler: (origin: string) => Promise<Handler>): Promise<TlsServer> {
  const folder = await makeFolder()
  const { key, cert, path } = await selfSigned(folder, 'DNS:localhost')
  const trusted = getCACertificates('default')
  setDefaultCACertificates([...trusted, cert])
  const port = await freePort()
  const origin = `https://localhost:${port}`
  const handle = await makeHandler(origin)
  const server = createServer({ key, cert }, (request, response) => {
    handle(request, response).catch((error: Error) => response.destroy(error))
  })
  server.listen(port, 'localhost')
  await once(server, 'listening')
  return {
    origin,
    certificate: path,
    close: async () => {
      setDefaultCACertificates(trusted)
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
      await removeFolder(folder)
    },
  }
}
