import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import session from '@fastify/session'
import Fastify from 'fastify'
import type { HostSession, PendingSignIn } from 'msal-keyv'
import { answerTo, homePage } from './answers.ts'
import { callApi, logout, msal, signInRequest, signOutRequest } from './msal.ts'
import { port, scopes, sessionSecret } from './settings.ts'

declare module 'fastify' {
  interface Session {
    pending?: PendingSignIn | undefined
    account?: HostSession
  }
}

const app = Fastify()
await app.register(formbody)

app.setErrorHandler((error, _request, reply) => {
  const { status, headers, body } = answerTo(error)
  return reply.code(status).headers(headers).send(body)
})

// Outside of what has sessions: the provider calls without a cookie of yours.
app.route({
  method: ['GET', 'POST'],
  url: '/logout-callback',
  handler: async (request, reply) => {
    const { status, headers, body } = await logout.handle(request)
    return reply.code(status).headers(headers).send(body)
  },
})

await app.register(async (pages) => {
  await pages.register(cookie)
  await pages.register(session, {
    secret: sessionSecret,
    saveUninitialized: false,
    cookie: { sameSite: 'lax', secure: 'auto' },
    // In memory, for one process. A fleet needs a store, such as connect-redis.
  })

  pages.addHook('preHandler', async (request) => {
    const { account } = request.session
    if (account && !(await msal.plugin.isSignedIn(account))) await request.session.regenerate()
  })

  pages.get('/', (request, reply) => {
    return reply.type('text/html; charset=utf-8').send(homePage(request.session.account !== undefined))
  })

  pages.get('/signin', async (request, reply) => {
    const { url, pending } = await msal.beginSignIn(signInRequest)
    request.session.pending = pending
    return reply.redirect(url)
  })

  pages.get<{ Querystring: Record<string, unknown> }>('/callback', async (request, reply) => {
    const { pending } = request.session
    request.session.pending = undefined // good for one response
    const { session: account } = await msal.completeSignIn(pending, request.query)
    await request.session.regenerate() // empty, under a new id, which nobody can have planted
    request.session.account = account
    return reply.redirect('/')
  })

  pages.get('/me', async (request, reply) => {
    const { account } = request.session
    if (account === undefined) return reply.redirect('/signin')
    const { accessToken } = await msal.acquireTokenSilent(account, { scopes })
    return callApi(accessToken)
  })

  // A POST, which no other site can send with a SameSite=Lax cookie.
  pages.post('/signout', async (request, reply) => {
    const { account } = request.session
    if (account === undefined) return reply.redirect('/', 303)
    const url = await msal.signOut(account, signOutRequest)
    await request.session.regenerate()
    return reply.redirect(url?.href ?? '/', 303)
  })
})

await app.listen({ port })
