/** Every `code` that an error of this library can have. */
export type MsalKeyvErrorCode = 'ERR_CONFIGURATION' | 'ERR_STORE_UNAVAILABLE' | 'ERR_EVICTION'

/** Base of every error this library defines: switch on `code`, which never changes. */
export abstract class MsalKeyvError extends Error {
  abstract readonly code: MsalKeyvErrorCode

  override get name(): string {
    return this.constructor.name
  }
}

/**
 * A programming error: an option that cannot work, or a call that would look like a signed-out user.
 * The message names the option, or the call to use instead.
 */
export class ConfigurationError extends MsalKeyvError {
  override readonly code = 'ERR_CONFIGURATION'
}

/** What was asked of the store when it failed. */
export type StoreOperation = 'read' | 'write' | 'delete'

/**
 * The store failed, or did not answer within `storeTimeout`. It never means that the user is signed out.
 *
 * A write or delete that timed out may still take effect later.
 */
export class StoreUnavailableError extends MsalKeyvError {
  override readonly code = 'ERR_STORE_UNAVAILABLE'
  /** What was asked of the store. */
  readonly operation: StoreOperation
  /** True when the store gave no answer within `storeTimeout`. */
  readonly timedOut: boolean

  /** `cause` is copied without what it may quote of a record: its name, code, and redacted message. */
  constructor(operation: StoreOperation, failure: { timedOut: boolean; cause?: unknown }) {
    super(
      failure.timedOut
        ? `the store did not answer a ${operation} in time`
        : `the store failed to ${operation}; see cause`,
      failure.cause === undefined ? undefined : { cause: redacted(failure.cause) },
    )
    this.operation = operation
    this.timedOut = failure.timedOut
  }
}

/**
 * The account may not be evicted: try again, which is safe, or tell the user that the sign-out failed.
 * `cause` is the {@link StoreUnavailableError}.
 */
export class EvictionError extends MsalKeyvError {
  override readonly code = 'ERR_EVICTION'
  /** True when the eviction holds and only the deletion of the dead record failed; it expires by itself. */
  readonly fenced: boolean

  constructor(failure: { fenced: boolean; cause: StoreUnavailableError }) {
    super(
      failure.fenced
        ? 'the account is evicted, but its dead record could not be deleted'
        : 'the account could not be evicted: the store did not confirm it',
      { cause: failure.cause },
    )
    this.fenced = failure.fenced
  }
}

const LONGEST_MESSAGE = 300
// Marks of our records and of MSAL's cache, plain or inside a JSON string.
const QUOTES_A_RECORD = /home_account_id|\\*"(?:v|secret|Account|AccessToken)\\*"\s*:/
const LONG_RUN = /[\w+/=-]{32,}/g

/** A driver's error may quote the command it failed on, and so a refresh token (P9): keeps what cannot. */
function redacted(cause: unknown): Error {
  const { name, message, code } =
    cause instanceof Error ? describe(cause) : { name: 'Error', message: String(cause) }
  const text = QUOTES_A_RECORD.test(message)
    ? '(message withheld: it quotes a record)'
    : message.replace(LONG_RUN, '…').slice(0, LONGEST_MESSAGE)
  const copy = new Error(text)
  copy.stack = `${name}: ${text}`
  return Object.assign(copy, { name, ...(code === undefined ? {} : { code }) })
}

function describe(error: Error): { name: string; message: string; code?: string | number } {
  const { name, message } = error
  const code = 'code' in error ? error.code : undefined
  return { name, message, ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}) }
}
