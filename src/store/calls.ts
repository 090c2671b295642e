import { AsyncLocalStorage } from 'node:async_hooks'
import type { KeyvLike } from './keyv-like.ts'

/** One call of the store, and what Keyv said of it. */
export interface Call {
  failed: boolean
  error: unknown
  /** Whether an `error` event that belongs to no call came meanwhile, and which. */
  disturbed: boolean
  disturbance: unknown
  ended: boolean
}

// Keyv reports a failed call by an `error` event and a plain result. The event is emitted in the asynchronous
// context of the call it belongs to, so this tells whose it is, under concurrency too.
export const calls = new AsyncLocalStorage<Call>()
/** The calls in flight on a Keyv that is listened to. */
const live = new WeakMap<KeyvLike, Set<Call>>()

/** The calls in flight on a Keyv, whose `error` events are attributed from now on. */
export function listen(keyv: KeyvLike): Set<Call> {
  const known = live.get(keyv)
  if (known !== undefined) return known
  const inFlight = new Set<Call>()
  live.set(keyv, inFlight)
  keyv.on('error', (error) => attributeError(error, inFlight))
  return inFlight
}

function attributeError(error: unknown, inFlight: ReadonlySet<Call>): void {
  const call = calls.getStore()
  // A socket opened within a call inherits its context for life; later errors are not that call's.
  if (call === undefined || call.ended) {
    for (const each of inFlight) {
      each.disturbed = true
      each.disturbance ??= error
    }
    return
  }
  call.failed = true
  call.error ??= error
}

export function newCall(): Call {
  return { failed: false, error: undefined, disturbed: false, disturbance: undefined, ended: false }
}

/** What went wrong has been dealt with. */
export function forget(call: Call): void {
  Object.assign(call, { failed: false, error: undefined })
}

/** Nobody waits for the call any more: it does nothing else to the store. */
export function checkNotGivenUp({ ended }: Call): void {
  if (ended) throw new Error('the call was given up on')
}
