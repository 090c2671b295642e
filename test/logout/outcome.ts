import { inspect } from 'node:util'
import { expect } from 'vitest'
import { LogoutCallbackError } from '../../src/errors.ts'
import { type LogoutCallback, type LogoutOptions, parseLogoutCallback } from '../../src/logout/parse.ts'
import { BadRequestError, type CallbackRequest } from '../../src/logout/request.ts'
import { mutant } from '../support/mutant.ts'
import type { MutantName } from '../support/mutants.ts'
import { CLIENT_ID, ISSUER } from './provider.ts'

export type Options = Partial<LogoutOptions & { clientId: string }>

/** `parseLogoutCallback` with the options of these tests. */
export function parse(request: CallbackRequest, options: Options = {}): Promise<LogoutCallback> {
  return parseLogoutCallback(request, { issuer: ISSUER, clientId: CLIENT_ID, ...options })
}

async function reasonOf(outcome: Promise<unknown>): Promise<unknown> {
  return outcome.then(
    () => undefined,
    (reason: unknown) => reason,
  )
}

/** The error of a reader that no endpoint has typed yet, which must be the outcome. */
export async function badRequest(outcome: Promise<unknown>): Promise<BadRequestError> {
  const error = await reasonOf(outcome)
  expect(error).toBeInstanceOf(BadRequestError)
  return error as BadRequestError
}

/** The typed error, which must be the outcome. */
export async function refusal(outcome: Promise<unknown>): Promise<LogoutCallbackError> {
  const error = await reasonOf(outcome)
  expect(error).toBeInstanceOf(LogoutCallbackError)
  const refused = error as LogoutCallbackError
  expect(refused).toMatchObject({ code: 'ERR_LOGOUT_CALLBACK', error: 'invalid_request' })
  // RFC 6749 §5.2: what an error_description may contain.
  expect(refused.message).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/)
  return refused
}

/** The status that the outcome asks to be answered. */
export async function status(outcome: Promise<unknown>): Promise<number> {
  const failed = await outcome.then(
    () => undefined,
    (reason: unknown) => reason as LogoutCallbackError,
  )
  return failed === undefined ? 200 : failed.status
}

/** `parse` of a library that is broken on purpose. */
export async function brokenParse(name: MutantName): Promise<typeof parse> {
  type Broken = { parseLogoutCallback: typeof parseLogoutCallback }
  const broken = await mutant<Broken>(name, 'parseLogoutCallback')
  return (request, options = {}) =>
    broken.parseLogoutCallback(request, { issuer: ISSUER, clientId: CLIENT_ID, ...options })
}

/** All that an error shows, wherever it is printed (P9). */
export function shown(error: Error): string {
  return [
    inspect(error, { depth: 10, showHidden: true }),
    JSON.stringify(error),
    String(error),
    error.stack,
  ].join('\n')
}
