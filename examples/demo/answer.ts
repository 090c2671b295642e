import type { ServerResponse } from 'node:http'
import type { LogoutOutcome } from '../../src/index.ts'
import type { Session } from './sessions.ts'

/**
 * A page, the answer to a logout callback, or where to go next; `session` takes the place of the browser's session,
 * under a new id.
 */
export type Answer = { html: string } | LogoutOutcome | { location: string; session?: Session }

/** @param formTargets origins, other than its own, that a form of the page may lead to */
export function sendAnswer(
  response: ServerResponse,
  answer: Answer | undefined,
  formTargets: readonly string[],
): void {
  response.setHeader('cache-control', 'no-store')
  if (!answer) {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('Not found\n')
  } else if ('html' in answer) {
    response.setHeader('content-security-policy', contentSecurityPolicy(formTargets))
    response.setHeader('content-type', 'text/html; charset=utf-8')
    response.end(answer.html)
  } else if ('status' in answer) {
    response.writeHead(answer.status, answer.headers).end(answer.body)
  } else {
    response.writeHead(303, { location: answer.location }).end()
  }
}

function contentSecurityPolicy(formTargets: readonly string[]): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    `form-action 'self' ${formTargets.join(' ')}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}
