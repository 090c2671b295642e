import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as pass } from 'node:timers/promises'

/** A request that does not get through until it is released. */
export interface HeldRequest {
  /** Resolves when it has arrived. */
  readonly arrived: Promise<void>
  /** Lets it through, and what came behind it on the same connection. */
  release(): void
}

interface Connection {
  readonly client: Socket
  readonly server: Socket
  /** Nothing gets through any more, and nobody is told. */
  swallows: boolean
  cutsReply: boolean
  blocked: Promise<void>
}

interface Hold {
  readonly pattern: RegExp
  readonly arrive: () => void
  readonly released: Promise<void>
}

/** A TCP proxy on the loopback interface that delays, holds, cuts and half-closes. */
export class SlowLink {
  /** Milliseconds for each way. */
  delay = 0
  /** The port that new connections lead to. */
  target: number
  readonly port: number
  readonly #server: Server
  readonly #connections = new Set<Connection>()
  readonly #holds: Hold[] = []
  readonly #delayed = new Set<Promise<unknown>>()
  #replyToCut: RegExp | undefined

  private constructor(server: Server, port: number, target: number) {
    this.#server = server
    this.port = port
    this.target = target
  }

  static async start(target: number): Promise<SlowLink> {
    const server = createServer({ allowHalfOpen: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const link = new SlowLink(server, (server.address() as AddressInfo).port, target)
    server.on('connection', (client) => link.#accept(client))
    return link
  }

  /** Holds back the next request with such bytes in it, and what follows on its connection. */
  hold(pattern: RegExp): HeldRequest {
    const arrived = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    this.#holds.push({ pattern, arrive: arrived.resolve, released: released.promise })
    return { arrived: arrived.promise, release: released.resolve }
  }

  /** Resets the connection in the middle of the reply to the next request with such bytes in it. */
  cutReply(pattern: RegExp): void {
    this.#replyToCut = pattern
  }

  /** From here on the connections that there are carry nothing, without a word. New ones do. */
  swallow(): void {
    for (const connection of this.#connections) connection.swallows = true
  }

  /** Resets every connection, and refuses new ones until `mend()`. */
  cut(): void {
    this.#server.close()
    this.#reset()
  }

  #reset(): void {
    for (const { client, server } of this.#connections) {
      client.resetAndDestroy()
      server.destroy()
    }
  }

  /** Resolves when new connections are accepted, and what was delayed has arrived. */
  async mend(): Promise<void> {
    this.delay = 0
    this.#replyToCut = undefined
    await Promise.all(this.#delayed)
    if (this.#server.listening) return
    this.#server.listen(this.port, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  /** Ends the server's half of every connection, and goes on listening to the client's. */
  halfClose(): void {
    for (const { client } of this.#connections) client.end()
  }

  async stop(): Promise<void> {
    const { promise: closed, resolve } = Promise.withResolvers<void>()
    // Also where it was cut, and listens no more.
    this.#server.close(() => resolve())
    this.#reset()
    await closed
  }

  #accept(client: Socket): void {
    const server = connect(this.target, '127.0.0.1')
    const connection = { client, server, swallows: false, cutsReply: false, blocked: Promise.resolve() }
    this.#connections.add(connection)
    for (const socket of [client, server]) {
      socket.setNoDelay(true)
      // A reset, which is what the tests are about.
      socket.on('error', () => {})
      socket.once('close', () => {
        this.#connections.delete(connection)
        client.destroy()
        server.destroy()
      })
    }
    let requests = Promise.resolve()
    let replies = Promise.resolve()
    client.on('data', (chunk) => {
      this.#inspect(connection, chunk)
      const { blocked } = connection
      requests = this.#carry(connection, chunk, server, Promise.all([requests, blocked]))
    })
    server.on('data', (chunk) => {
      if (connection.cutsReply) return this.#cutIn(connection, chunk)
      replies = this.#carry(connection, chunk, client, replies)
    })
    client.on('end', () => server.end())
    server.on('end', () => client.end())
  }

  #inspect(connection: Connection, chunk: Buffer): void {
    const text = chunk.toString('latin1')
    if (this.#replyToCut?.test(text)) {
      connection.cutsReply = true
      this.#replyToCut = undefined
    }
    const index = this.#holds.findIndex(({ pattern }) => pattern.test(text))
    const [hold] = index < 0 ? [] : this.#holds.splice(index, 1)
    if (hold === undefined) return
    connection.blocked = hold.released
    hold.arrive()
  }

  async #carry(connection: Connection, chunk: Buffer, to: Socket, before: Promise<unknown>): Promise<void> {
    const due = this.delay === 0 ? undefined : pass(this.delay)
    if (due !== undefined) {
      this.#delayed.add(due)
      void due.then(() => this.#delayed.delete(due))
    }
    await before
    await due
    if (!connection.swallows && to.writable) to.write(chunk)
  }

  #cutIn({ client, server }: Connection, reply: Buffer): void {
    client.write(reply.subarray(0, Math.ceil(reply.length / 2)), () => client.resetAndDestroy())
    server.destroy()
  }
}
