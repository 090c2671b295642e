import { channel, type TracingChannel, tracingChannel } from 'node:diagnostics_channel'

/**
 * What the channels carry: never a token, a key, or an account id in clear (P9). `key` is the name of a record in the
 * store, which is a digest.
 */
export interface DiagnosticsEvents {
  /** A record that is there and counts as absent. */
  'msal-keyv:unreadable-record': {
    key: string
    reason:
      | 'unknown-key'
      | 'tampered'
      | 'wrong-record'
      | 'plaintext'
      | 'malformed'
      | 'newer-version'
      | 'expired'
  }
  /** A logout callback that names nobody known here. */
  'msal-keyv:unknown-session': { channel: 'front-channel' | 'back-channel' }
  /** A sign-in whose ID token is of an issuer that no `LogoutHandler` of this plugin takes callbacks of. */
  'msal-keyv:issuer-mismatch': { issuer: string }
  /** A sign-in whose session at the provider has no name, so that no logout callback can find it. */
  'msal-keyv:sign-in-without-link': { key: string; hint: string }
  /** A write of a call that began before an eviction. */
  'msal-keyv:refused-write': { key: string }
  /** What a refresh acquired could not be stored, and was still returned (`onCommitFailure: 'report'`). */
  'msal-keyv:commit-failed': { error: Error }
  /** Entities that belong to no account and were not stored. */
  'msal-keyv:dropped-entities': { count: number }
}

/** Why a record that is there counts as absent. */
export type UnreadableRecordReason = DiagnosticsEvents['msal-keyv:unreadable-record']['reason']

/** Traces (`start`, `end`, `asyncStart`, `asyncEnd`, `error`), as `tracing:<name>:<event>`. */
export const TRACES = ['msal-keyv:load', 'msal-keyv:commit', 'msal-keyv:evict', 'msal-keyv:logout'] as const
type Trace = (typeof TRACES)[number]

const traces = new Map<Trace, TracingChannel<object>>(TRACES.map((name) => [name, tracingChannel(name)]))

/** Publishes where somebody listens, and does nothing else. */
export function report<Name extends keyof DiagnosticsEvents>(
  name: Name,
  event: DiagnosticsEvents[Name],
): void {
  const events = channel(name)
  if (events.hasSubscribers) events.publish(event)
}

/** A record that opens, but whose body is not of its kind. */
export function reportMalformed(key: string): void {
  report('msal-keyv:unreadable-record', { key, reason: 'malformed' })
}

/**
 * Runs `fn`, traced where somebody listens.
 * @param describe what of the result subscribers see as `result`; the result itself may hold tokens
 */
export async function trace<Result>(
  name: Trace,
  context: object,
  fn: () => Promise<Result>,
  describe: (result: Result) => object | undefined = () => undefined,
): Promise<Result> {
  const tracing = traces.get(name)
  if (!tracing?.hasSubscribers) return fn()
  const { promise, resolve, reject } = Promise.withResolvers<Result>()
  const described = async () => {
    const result = await fn()
    resolve(result)
    return describe(result)
  }
  tracing.tracePromise(described, context).catch(reject)
  return promise
}
