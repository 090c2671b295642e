import { createServer } from 'node:http'
import { serve } from '@hono/node-server'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import type { CallbackRequest } from '../../src/index.ts'
import { listening, type RunningHost } from './hosts.ts'

export interface HostAnswer {
  status: number
  headers: Record<string, string>
  body?: string
}

/** The route of a host, whatever its framework. */
export type Handle = (request: CallbackRequest) => Promise<HostAnswer>

export type NotificationHost = (handle: Handle) => Promise<RunningHost>

/** Express 5, which leaves the body to the handler, or with a parser in front of all routes. */
function expressHost(...parsers: express.RequestHandler[]): NotificationHost {
  return (handle) => {
    const app = express()
    for (const parser of parsers) app.use(parser)

    app.all('/graph-notifications', async (req, res) => {
      const { status, headers, body } = await handle(req)
      res.status(status).set(headers).send(body)
    })

    return listening(app.listen(0, '127.0.0.1'))
  }
}

const fastifyHost: NotificationHost = async (handle) => {
  const app = fastify()

  app.all('/graph-notifications', async (request, reply) => {
    const { status, headers, body } = await handle(request)
    return reply.code(status).headers(headers).send(body)
  })

  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return { url, close: () => app.close() }
}

const honoHost: NotificationHost = (handle) => {
  const app = new Hono()

  app.all('/graph-notifications', async (c) => {
    const answer = await handle(c.req.raw)
    return new Response(answer.body, answer)
  })

  return listening(serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }))
}

const nodeHost: NotificationHost = (handle) => {
  const server = createServer(async (request, response) => {
    const { status, headers, body } = await handle(request)
    response.writeHead(status, headers).end(body)
  })

  return listening(server.listen(0, '127.0.0.1'))
}

/** Each in the few lines that a user writes. */
export const notificationHosts: Readonly<Record<string, NotificationHost>> = {
  'Express 5': expressHost(),
  'Express 5 with JSON parsed': expressHost(express.json()),
  'Express 5 with all parsers': expressHost(express.urlencoded(), express.json(), express.text()),
  'Express 5 with bodies as text': expressHost(express.text({ type: () => true })),
  'Express 5 with bodies as bytes': expressHost(express.raw({ type: () => true })),
  'Fastify 5': fastifyHost,
  Hono: honoHost,
  'node:http': nodeHost,
}
