import express, { type NextFunction, type Request, type Response } from 'express'
import session from 'express-session'
import type { HostSession, PendingSignIn } from 'msal-keyv'
import { answerTo, homePage } from './answers.ts'
import { callApi, logout, msal, signInRequest, signOutRequest } from './msal.ts'
import { port, scopes, sessionSecret } from './settings.ts'

declare module 'express-session' {
  interface SessionData {
    pending: PendingSignIn
    account: HostSession
  }
}

const app = express()

// Ahead of the sessions: the provider calls without a cookie of yours.
app.all('/logout-callback', async (req, res) => {
  const { status, headers, body } = await logout.handle(req)
  res.status(status).set(headers).send(body)
})

app.use(
  session({
    secret: sessionSecret,
    resave: false,
    saveUninitialized: false,
    cookie: { sameSite: 'lax', secure: 'auto' },
    // In memory, for one process. A fleet needs a store, such as connect-redis.
  }),
)

app.use(async (req, _res, next) => {
  const { account } = req.session
  if (account && !(await msal.plugin.isSignedIn(account))) req.session.regenerate(next)
  else next()
})

app.get('/', (req, res) => {
  res.send(homePage(req.session.account !== undefined))
})

app.get('/signin', async (req, res) => {
  const { url, pending } = await msal.beginSignIn(signInRequest)
  req.session.pending = pending
  res.redirect(url)
})

app.get('/callback', async (req, res) => {
  const { pending } = req.session
  delete req.session.pending // good for one response
  const { session: account } = await msal.completeSignIn(pending, req.query)
  await renewSession(req)
  req.session.account = account
  res.redirect('/')
})

app.get('/me', async (req, res) => {
  const { account } = req.session
  if (account === undefined) return res.redirect('/signin')
  const { accessToken } = await msal.acquireTokenSilent(account, { scopes })
  res.json(await callApi(accessToken))
})

// A POST, which no other site can send with a SameSite=Lax cookie.
app.post('/signout', async (req, res) => {
  const { account } = req.session
  if (account === undefined) return res.redirect(303, '/')
  const url = await msal.signOut(account, signOutRequest)
  await renewSession(req)
  res.redirect(303, url?.href ?? '/')
})

app.use((error: unknown, _req: Request, res: Response, _next: NextFunction) => {
  const { status, headers, body } = answerTo(error)
  res.status(status).set(headers).send(body)
})

app.listen(port)

/** An empty session under a new id, which nobody can have planted. */
function renewSession(req: Request): Promise<void> {
  return new Promise((resolve, reject) => {
    req.session.regenerate((error) => (error ? reject(error) : resolve()))
  })
}
