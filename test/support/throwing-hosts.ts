import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a route throws, by the path that it is asked for. */
export type Thrown = ReadonlyMap<string, unknown>

export interface ThrowingHost {
  readonly url: string
  close(): Promise<void>
}

interface ExpressApp extends RequestListener {
  get(
    path: string,
    handler: (req: { path: string }, res: object, next: (error: unknown) => void) => unknown,
  ): unknown
}

/** Express 4, whose routes pass their errors on. */
export function express4(express: () => ExpressApp, thrown: Thrown): Promise<ThrowingHost> {
  const app = express()
  app.get('/*', async ({ path }, _res, next) => next(thrown.get(path)))
  return listening(app)
}

/** Express 5, which takes what an asynchronous route throws. */
export function express5(express: () => ExpressApp, thrown: Thrown): Promise<ThrowingHost> {
  const app = express()
  app.get('/*path', async ({ path }) => {
    throw thrown.get(path)
  })
  return listening(app)
}

interface KoaApp {
  silent: boolean
  use(middleware: (ctx: { path: string }) => Promise<void>): unknown
  callback(): RequestListener
}

export function koa(Koa: new () => KoaApp, thrown: Thrown): Promise<ThrowingHost> {
  const app = new Koa()
  app.silent = true
  app.use(async ({ path }) => {
    throw thrown.get(path)
  })
  return listening(app.callback())
}

interface FastifyApp {
  get(path: string, handler: (request: { url: string }) => Promise<void>): unknown
  listen(address: { port: number; host: string }): Promise<string>
  close(): Promise<void>
}

export async function fastify(make: () => FastifyApp, thrown: Thrown): Promise<ThrowingHost> {
  const app = make()
  app.get('/*', async ({ url }) => {
    throw thrown.get(url)
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return { url, close: () => app.close() }
}

async function listening(listener: RequestListener): Promise<ThrowingHost> {
  const server: Server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
