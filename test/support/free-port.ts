import { once } from 'node:events'
import { createServer } from 'node:net'

// Below the ports that Linux, macOS and Windows hand to outgoing connections: there, a client that reconnects
// to a killed server can be given the server's own port and end up talking to itself. And low enough that
// Redis Cluster's bus, 10,000 above, is below them too.
const lowest = 10_000
const highest = 22_767

/** A port of the loopback interface that nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest))
    if (await isFree(port)) {
      return port
    }
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
