import { serve } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import { MemoryStore, type Session, sessionMiddleware } from 'hono-sessions'
import type { HostSession, PendingSignIn } from 'msal-keyv'
import { answerTo, homePage } from './answers.ts'
import { callApi, logout, msal, signInRequest, signOutRequest } from './msal.ts'
import { baseUrl, port, scopes, sessionSecret } from './settings.ts'

interface SessionData {
  pending: PendingSignIn
  account: HostSession
}

interface Env {
  Variables: { session: Session<SessionData>; session_key_rotation: boolean }
}

const app = new Hono<Env>()

// Ahead of the sessions: the provider calls without a cookie of yours.
app.all('/logout-callback', async (c) => {
  const outcome = await logout.handle(c.req.raw)
  return new Response(outcome.body, outcome)
})

app.use(
  sessionMiddleware({
    store: new MemoryStore(), // for one process: a fleet needs another
    encryptionKey: sessionSecret,
    cookieOptions: { path: '/', httpOnly: true, sameSite: 'Lax', secure: baseUrl.startsWith('https:') },
  }),
)

app.use(async (c, next) => {
  const account = c.get('session').get('account')
  if (account && !(await msal.plugin.isSignedIn(account))) renewSession(c)
  await next()
})

app.get('/', (c) => c.html(homePage(c.get('session').get('account') !== null)))

app.get('/signin', async (c) => {
  const { url, pending } = await msal.beginSignIn(signInRequest)
  c.get('session').set('pending', pending)
  return c.redirect(url)
})

app.get('/callback', async (c) => {
  const session = c.get('session')
  const pending = session.get('pending')
  session.forget('pending') // good for one response
  const { session: account } = await msal.completeSignIn(pending, new URL(c.req.url).searchParams)
  renewSession(c)
  session.set('account', account)
  return c.redirect('/')
})

app.get('/me', async (c) => {
  const account = c.get('session').get('account')
  if (account === null) return c.redirect('/signin')
  const { accessToken } = await msal.acquireTokenSilent(account, { scopes })
  return Response.json(await callApi(accessToken))
})

// A POST, which no other site can send with a SameSite=Lax cookie.
app.post('/signout', async (c) => {
  const account = c.get('session').get('account')
  if (account === null) return c.redirect('/', 303)
  const url = await msal.signOut(account, signOutRequest)
  renewSession(c)
  return c.redirect(url?.href ?? '/', 303)
})

app.onError((error) => {
  const answer = answerTo(error)
  return new Response(answer.body, answer)
})

serve({ fetch: app.fetch, port })

/** An empty session under a new id, which nobody can have planted. */
function renewSession(c: Context<Env>): void {
  c.get('session').forget('account')
  c.get('session').forget('pending')
  c.set('session_key_rotation', true)
}
