import { LogoutCallbackError } from '../errors.ts'
import { type LogoutRequest, onlyValue, receive } from './request.ts'

/**
 * The `state` with which the browser comes back from the provider: RP-Initiated Logout 1.0 §3.
 *
 * Anybody can send a browser here with any `state`. Compare it with the one kept for this browser, and when it is
 * another, or none, show the signed-out page all the same. Never redirect to it.
 * @returns without `state` when there is none, or none that {@link createLogoutUrl} would have sent
 * @throws {ConfigurationError} when it is no request
 */
export function parsePostLogout(request: LogoutRequest): { state?: string } {
  const { readQuery } = receive(request)
  try {
    const state = onlyValue(readQuery(), 'state')
    return state === undefined ? {} : { state }
  } catch (error) {
    if (error instanceof LogoutCallbackError) return {}
    throw error
  }
}
