import { LogoutCallbackError, type MsalKeyvError } from '../errors.ts'
import type { LogoutCallback } from './parse.ts'

/**
 * The answer to a logout callback, and what it did. `new Response(o.body, o)` and
 * `res.status(o.status).set(o.headers).send(o.body)` both work.
 */
export interface LogoutOutcome {
  /** 200, also where there was nothing to do; 400 or 405 for a bad request; 503 when a front-channel eviction failed. */
  status: number
  headers: Record<string, string>
  body?: string
  /**
   * - `evicted`: accounts' tokens are gone
   * - `session-ended`: with `ends: 'session'`, accounts that have other sessions go on
   * - `unknown-session`: no account known here
   * - `issuer-mismatch`: likewise, and no sign-in seen here has the handler's `issuer`
   * - `stale-session`: signed out already, or signed in again since
   * - `failed`: see `error`; some accounts may have been evicted
   */
  result: 'evicted' | 'session-ended' | 'unknown-session' | 'issuer-mismatch' | 'stale-session' | 'failed'
  /**
   * The accounts whose tokens are gone, so that the host can end their own sessions. `sid` is the provider's session
   * that the callback named.
   */
  evicted: { homeAccountId: string; sid?: string | undefined }[]
  /** With `ends: 'session'`: the sessions that ended while their account goes on in others. */
  endedAlone: { homeAccountId: string; sid?: string | undefined }[]
  callback?: LogoutCallback
  error?: MsalKeyvError
}

/** A sign-in that a logout callback ended. */
export type EndedSession = LogoutOutcome['evicted'][number]

// Back-Channel Logout 1.0 §2.8, Front-Channel Logout 1.0 §3.
const HEADERS = { 'cache-control': 'no-store' }

export function succeeded(
  result: Exclude<LogoutOutcome['result'], 'failed'>,
  callback: LogoutCallback,
  evicted: EndedSession[] = [],
  endedAlone: EndedSession[] = [],
): LogoutOutcome {
  return { status: 200, headers: { ...HEADERS }, result, evicted, endedAlone, callback }
}

/**
 * A bad request is the provider's fault on either channel. When the store failed, the front channel answers 503; the
 * back channel knows no other status than 400 (§2.8).
 */
export function failed(
  error: MsalKeyvError,
  callback: LogoutCallback | undefined,
  evicted: EndedSession[],
): LogoutOutcome {
  const isBadRequest = error instanceof LogoutCallbackError
  const status = isBadRequest ? error.status : callback?.kind === 'back-channel' ? 400 : 503
  const description = isBadRequest ? error.message : 'the logout could not be carried out: try again'
  return {
    status,
    headers: {
      ...HEADERS,
      'content-type': 'application/json',
      ...(status === 405 ? { allow: 'GET, POST' } : {}),
    },
    body: JSON.stringify({ error: 'invalid_request', error_description: description }),
    result: 'failed',
    evicted,
    endedAlone: [],
    ...(callback === undefined ? {} : { callback }),
    error,
  }
}
