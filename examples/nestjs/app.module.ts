import { type MiddlewareConsumer, Module, type NestModule } from '@nestjs/common'
import { APP_FILTER } from '@nestjs/core'
import type { NextFunction, Request, Response } from 'express'
import session from 'express-session'
import { ConfidentialClients, LogoutHandler } from 'msal-keyv'
import { ErrorFilter } from './error.filter.ts'
import { LogoutController } from './logout.controller.ts'
import { logout, msal } from './msal.ts'
import { PagesController } from './pages.controller.ts'
import { sessionSecret } from './settings.ts'

const sessions = session({
  secret: sessionSecret,
  resave: false,
  saveUninitialized: false,
  cookie: { sameSite: 'lax', secure: 'auto' },
  // In memory, for one process. A fleet needs a store, such as connect-redis.
})

async function refuseSignedOut(req: Request, _res: Response, next: NextFunction): Promise<void> {
  const { account } = req.session
  if (account && !(await msal.plugin.isSignedIn(account))) req.session.regenerate(next)
  else next()
}

@Module({
  controllers: [LogoutController, PagesController],
  providers: [
    { provide: ConfidentialClients, useValue: msal },
    { provide: LogoutHandler, useValue: logout },
    { provide: APP_FILTER, useClass: ErrorFilter },
  ],
})
export class AppModule implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    // Not for the logout callback: the provider calls without a cookie of yours.
    consumer.apply(sessions, refuseSignedOut).forRoutes(PagesController)
  }
}
