import type { IncomingHttpHeaders } from 'node:http'
import express from 'express'
import session from 'express-session'
import type { ConfidentialClients, HostSession, LogoutOutcome } from '../../src/index.ts'
import { type HostParts, listening, type RunningHost } from './hosts.ts'

declare module 'express-session' {
  interface SessionData {
    account: HostSession
  }
}

export interface SessionHostParts extends HostParts {
  readonly msal: ConfidentialClients
  onLogout?(outcome: LogoutOutcome, headers: IncomingHttpHeaders): unknown
}

/** An Express host with express-session that asks, at every request, whether its session's account is still in. */
export function startSessionHost({ msal, logout, signIn, onLogout }: SessionHostParts): Promise<RunningHost> {
  const app = express()

  app.all('/logout-callback', async (req, res) => {
    const outcome = await logout.handle(req)
    onLogout?.(outcome, req.headers)
    res.status(outcome.status).set(outcome.headers).send(outcome.body)
  })

  const cookie = { sameSite: 'lax' } as const
  app.use(session({ secret: 'not a secret', cookie, resave: false, saveUninitialized: false }))

  app.use(async (req, _res, next) => {
    const { account } = req.session
    if (account === undefined || (await msal.plugin.isSignedIn(account))) next()
    else req.session.regenerate(next)
  })

  app.get('/callback', async (req, res) => {
    req.session.account = await signIn(req.query)
    res.redirect('/')
  })

  app.get('/', (req, res) => {
    const { account } = req.session
    res.status(account === undefined ? 401 : 200).send(account?.homeAccountId ?? 'signed out')
  })

  return listening(app.listen(0, '127.0.0.1'))
}
