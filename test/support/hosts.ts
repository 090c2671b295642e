import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import formbody from '@fastify/formbody'
import { type ServerType, serve } from '@hono/node-server'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import type { AuthorizationResponse, HostSession, LogoutHandler } from '../../src/index.ts'

/** What a host brings to its framework. */
export interface HostParts {
  readonly logout: LogoutHandler
  /** Redeems the code, and returns what the host would keep in its session. */
  signIn(response: AuthorizationResponse): Promise<HostSession>
}

export interface RunningHost {
  readonly url: string
  close(): Promise<void>
}

export type Host = (parts: HostParts) => Promise<RunningHost>

/** Express 5, which leaves the body to the handler, or with a parser in front of all routes. */
function expressHost({ parsesForms }: { parsesForms: boolean }): Host {
  return ({ logout, signIn }) => {
    const app = express()
    if (parsesForms) app.use(express.urlencoded())

    app.get('/callback', async (req, res) => {
      res.json(await signIn(req.query))
    })
    app.all('/logout-callback', async (req, res) => {
      const { status, headers, body } = await logout.handle(req)
      res.status(status).set(headers).send(body)
    })

    return listening(app.listen(0, '127.0.0.1'))
  }
}

const fastifyHost: Host = async ({ logout, signIn }) => {
  const app = fastify()
  await app.register(formbody)

  app.get('/callback', async (request) => signIn(request.query as AuthorizationResponse))
  app.all('/logout-callback', async (request, reply) => {
    const { status, headers, body } = await logout.handle(request)
    return reply.code(status).headers(headers).send(body)
  })

  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return { url, close: () => app.close() }
}

const honoHost: Host = ({ logout, signIn }) => {
  const app = new Hono()

  app.get('/callback', async (c) => c.json(await signIn(c.req.query())))
  app.all('/logout-callback', async (c) => {
    const outcome = await logout.handle(c.req.raw)
    return new Response(outcome.body, outcome)
  })

  return listening(serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }))
}

const nodeHost: Host = ({ logout, signIn }) => {
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    if (pathname === '/callback') {
      response.end(JSON.stringify(await signIn(searchParams)))
    } else if (pathname === '/logout-callback') {
      const { status, headers, body } = await logout.handle(request)
      response.writeHead(status, headers).end(body)
    } else {
      response.writeHead(404).end()
    }
  })

  return listening(server.listen(0, '127.0.0.1'))
}

/** The hosts of Microsoft's guidance, each in the few lines that a user writes. */
export const hosts: Readonly<Record<string, Host>> = {
  'Express 5': expressHost({ parsesForms: false }),
  'Express 5 with a body parser': expressHost({ parsesForms: true }),
  'Fastify 5': fastifyHost,
  Hono: honoHost,
  'node:http': nodeHost,
}

export async function listening(server: Server | ServerType): Promise<RunningHost> {
  if (!server.listening) await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.close()
      if ('closeAllConnections' in server) server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
