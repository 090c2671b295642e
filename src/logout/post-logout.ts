import { BadRequestError, type CallbackRequest, onlyValue, receive } from './request.ts'

/**
 * The `state` with which the browser comes back from the provider: RP-Initiated Logout 1.0 §3.
 *
 * Anybody can send a browser here with any `state`. Compare it with the one that you kept for this browser. When it
 * differs, or none was kept, show the signed-out page as well. Never redirect to it.
 * @returns without `state` when there is none, or one that {@link createLogoutUrl} would not have sent
 * @throws {ConfigurationError} when `request` is not a request
 *
 * @example
 * ```ts
 * app.get('/signed-out', (req, res) => {
 *   const { state } = parsePostLogout(req)
 *   res.send(state === req.session.logoutState ? 'You have signed out.' : 'You are signed out.')
 * })
 * ```
 */
export function parsePostLogout(request: CallbackRequest): { state?: string } {
  const { readQuery } = receive(request)
  try {
    const state = onlyValue(readQuery(), 'state')
    return state === undefined ? {} : { state }
  } catch (error) {
    if (error instanceof BadRequestError) return {}
    throw error
  }
}
