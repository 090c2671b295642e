import { type ArgumentsHost, Catch, HttpException } from '@nestjs/common'
import { BaseExceptionFilter } from '@nestjs/core'
import type { Response } from 'express'
import { answerTo } from './answers.ts'

@Catch()
export class ErrorFilter extends BaseExceptionFilter {
  override catch(error: unknown, host: ArgumentsHost): void {
    if (error instanceof HttpException) {
      super.catch(error, host) // Nest's own, such as 404
    } else {
      const { status, headers, body } = answerTo(error)
      host.switchToHttp().getResponse<Response>().status(status).set(headers).send(body)
    }
  }
}
