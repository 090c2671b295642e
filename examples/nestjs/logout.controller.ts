import { All, Controller, Inject, Req, Res } from '@nestjs/common'
import type { Request, Response } from 'express'
import { LogoutHandler } from 'msal-keyv'

@Controller()
export class LogoutController {
  constructor(@Inject(LogoutHandler) private readonly logout: LogoutHandler) {}

  @All('logout-callback')
  async callback(@Req() req: Request, @Res() res: Response): Promise<void> {
    const { status, headers, body } = await this.logout.handle(req)
    res.status(status).set(headers).send(body)
  }
}
