import { Controller, Get, Inject, Post, Req, Res } from '@nestjs/common'
import type { Request, Response } from 'express'
import { ConfidentialClients, type HostSession, type PendingSignIn } from 'msal-keyv'
import { homePage } from './answers.ts'
import { callApi, signInRequest, signOutRequest } from './msal.ts'
import { scopes } from './settings.ts'

declare module 'express-session' {
  interface SessionData {
    pending: PendingSignIn
    account: HostSession
  }
}

@Controller()
export class PagesController {
  constructor(@Inject(ConfidentialClients) private readonly msal: ConfidentialClients) {}

  @Get()
  home(@Req() req: Request): string {
    return homePage(req.session.account !== undefined)
  }

  @Get('signin')
  async signIn(@Req() req: Request, @Res() res: Response): Promise<void> {
    const { url, pending } = await this.msal.beginSignIn(signInRequest)
    req.session.pending = pending
    res.redirect(url)
  }

  @Get('callback')
  async callback(@Req() req: Request, @Res() res: Response): Promise<void> {
    const { pending } = req.session
    delete req.session.pending // good for one response
    const { session: account } = await this.msal.completeSignIn(pending, req.query)
    await renewSession(req)
    req.session.account = account
    res.redirect('/')
  }

  @Get('me')
  async me(@Req() req: Request, @Res() res: Response): Promise<void> {
    const { account } = req.session
    if (account === undefined) return res.redirect('/signin')
    const { accessToken } = await this.msal.acquireTokenSilent(account, { scopes })
    res.json(await callApi(accessToken))
  }

  // A POST, which no other site can send with a SameSite=Lax cookie.
  @Post('signout')
  async signOut(@Req() req: Request, @Res() res: Response): Promise<void> {
    const { account } = req.session
    if (account === undefined) return res.redirect(303, '/')
    const url = await this.msal.signOut(account, signOutRequest)
    await renewSession(req)
    res.redirect(303, url?.href ?? '/')
  }
}

/** An empty session under a new id, which nobody can have planted. */
function renewSession(req: Request): Promise<void> {
  return new Promise((resolve, reject) => {
    req.session.regenerate((error) => (error ? reject(error) : resolve()))
  })
}
