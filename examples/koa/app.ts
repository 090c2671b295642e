import Router from '@koa/router'
import Koa from 'koa'
import session from 'koa-session'
import type { HostSession, PendingSignIn } from 'msal-keyv'
import { answerTo, homePage } from './answers.ts'
import { callApi, logout, msal, signInRequest, signOutRequest } from './msal.ts'
import { port, scopes, sessionSecret } from './settings.ts'

interface SessionData {
  pending?: PendingSignIn | undefined
  account?: HostSession | undefined
}

interface Context {
  session: SessionData & { regenerate(): Promise<void> }
}

const app = new Koa<Koa.DefaultState, Context>()
app.keys = [sessionSecret]

app.use(async (ctx, next) => {
  try {
    await next()
  } catch (error) {
    const { status, headers, body } = answerTo(error)
    ctx.set(headers)
    ctx.status = status
    ctx.body = body
  }
})

const callbacks = new Router()
const pages = new Router<Koa.DefaultState, Context>()

callbacks.all('/logout-callback', async (ctx) => {
  const { status, headers, body } = await logout.handle(ctx.req)
  ctx.set(headers)
  ctx.body = body
  ctx.status = status
})

pages.get('/', (ctx) => {
  ctx.type = 'html'
  ctx.body = homePage(ctx.session.account !== undefined)
})

pages.get('/signin', async (ctx) => {
  const { url, pending } = await msal.beginSignIn(signInRequest)
  ctx.session.pending = pending
  ctx.redirect(url)
})

pages.get('/callback', async (ctx) => {
  const { pending } = ctx.session
  ctx.session.pending = undefined // good for one response
  const { session: account } = await msal.completeSignIn(pending, ctx.query)
  await renewSession(ctx)
  ctx.session.account = account
  ctx.redirect('/')
})

pages.get('/me', async (ctx) => {
  const { account } = ctx.session
  if (account === undefined) return ctx.redirect('/signin')
  const { accessToken } = await msal.acquireTokenSilent(account, { scopes })
  ctx.body = await callApi(accessToken)
})

// A POST, which no other site can send with a SameSite=Lax cookie.
pages.post('/signout', async (ctx) => {
  const { account } = ctx.session
  const url = account && (await msal.signOut(account, signOutRequest))
  await renewSession(ctx)
  ctx.status = 303
  ctx.redirect(url?.href ?? '/')
})

// Ahead of the sessions: the provider calls without a cookie of yours.
app.use(callbacks.routes())

// In memory, for one process. A fleet needs a store over Redis or the like.
const sessions = new Map<string, SessionData>()
app.use(
  session(
    {
      sameSite: 'lax',
      store: {
        get: async (id) => sessions.get(id),
        set: async (id, data) => void sessions.set(id, data),
        destroy: async (id) => void sessions.delete(id),
      },
    },
    app,
  ),
)

app.use(async (ctx, next) => {
  const { account } = ctx.session
  if (account && !(await msal.plugin.isSignedIn(account))) await renewSession(ctx)
  await next()
})

app.use(pages.routes())
app.listen(port)

/** An empty session under a new id, which nobody can have planted. */
async function renewSession({ session }: Context): Promise<void> {
  session.account = undefined
  session.pending = undefined
  await session.regenerate()
}
