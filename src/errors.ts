/** Every `code` that an error of this library can have. */
export type MsalKeyvErrorCode =
  | 'ERR_CONFIGURATION'
  | 'ERR_STORE_UNAVAILABLE'
  | 'ERR_EVICTION'
  | 'ERR_ACCOUNT_EVICTED'
  | 'ERR_LOGOUT_CALLBACK'
  | 'ERR_GRAPH_NOTIFICATION'
  | 'ERR_AUTHORIZATION_RESPONSE'
  | 'ERR_AUTHENTICATION_REQUIRED'

/** Marks the errors of every copy of this package that runs in the process. */
const OURS = Symbol.for('msal-keyv:error')

/**
 * Base of every error this library defines: switch on `code`, which never changes. `instanceof` also knows the errors
 * of another copy of this package in the process, such as the one that `require` loads beside `import`.
 */
export abstract class MsalKeyvError extends Error {
  abstract readonly code: MsalKeyvErrorCode
  /** The HTTP status to answer with. Express, Koa and Fastify do so by themselves when the error is thrown. */
  abstract readonly status: number
  // On the prototype and in so many words: the stack begins with it, and a minifier renames classes.
  abstract override get name(): string

  static {
    Object.defineProperty(MsalKeyvError, Symbol.hasInstance, { value: isInstance })
    Object.defineProperty(MsalKeyvError.prototype, OURS, { value: true })
  }
}

function isInstance(this: { readonly prototype: MsalKeyvError }, error: unknown): boolean {
  if (Function.prototype[Symbol.hasInstance].call(this, error)) return true
  if (typeof error !== 'object' || error === null || !(OURS in error)) return false
  if (this === MsalKeyvError) return true
  // A host's own class that extends one of ours knows its own only.
  const isOfHere = Object.getPrototypeOf(this) === MsalKeyvError
  return isOfHere && 'name' in error && error.name === this.prototype.name
}

/**
 * A programming error: an option that cannot work, or a call that would look like a signed-out user.
 * The message names the option, or the call to use instead.
 */
export class ConfigurationError extends MsalKeyvError {
  override readonly code = 'ERR_CONFIGURATION'
  override readonly status = 500
  readonly #homeAccountId: string | undefined

  constructor(message: string, { homeAccountId }: { homeAccountId?: string | undefined } = {}) {
    super(message)
    this.#homeAccountId = homeAccountId
  }

  /** The account that is concerned, for `evictAccount`. It stands in no message, and nothing prints it. */
  get homeAccountId(): string | undefined {
    return this.#homeAccountId
  }

  override get name(): 'ConfigurationError' {
    return 'ConfigurationError'
  }
}

/**
 * The store failed, or did not answer within `storeTimeout`. It never means that the user is signed out.
 *
 * A write or delete that timed out may still take effect later.
 */
export class StoreUnavailableError extends MsalKeyvError {
  override readonly code = 'ERR_STORE_UNAVAILABLE'
  override readonly status = 503
  /** What was asked of the store. */
  readonly operation: 'read' | 'write' | 'delete'
  /** True when the store gave no answer within `storeTimeout`. */
  readonly timedOut: boolean

  /** `cause` is copied without what it may quote of a record: its name, code, and redacted message. */
  constructor(operation: 'read' | 'write' | 'delete', failure: { timedOut: boolean; cause?: unknown }) {
    super(
      failure.timedOut
        ? `the store did not answer a ${operation} in time`
        : `the store failed to ${operation}; see cause`,
      failure.cause === undefined ? undefined : { cause: redacted(failure.cause) },
    )
    this.operation = operation
    this.timedOut = failure.timedOut
  }

  override get name(): 'StoreUnavailableError' {
    return 'StoreUnavailableError'
  }
}

/**
 * The account may not be evicted: try again, which is safe, or tell the user that the sign-out failed.
 * `cause` is the {@link StoreUnavailableError}.
 */
export class EvictionError extends MsalKeyvError {
  override readonly code = 'ERR_EVICTION'
  override readonly status = 503
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

  override get name(): 'EvictionError' {
    return 'EvictionError'
  }
}

/**
 * The incoming token was issued before its account was evicted: nothing is acquired or kept on behalf of its bearer.
 * Have the caller get a new one, and answer 401 meanwhile.
 */
export class AccountEvictedError extends MsalKeyvError {
  override readonly code = 'ERR_ACCOUNT_EVICTED'
  override readonly status = 401

  constructor() {
    super('the assertion was issued before its account was evicted: have the caller get a new one')
  }

  override get name(): 'AccountEvictedError' {
    return 'AccountEvictedError'
  }
}

/**
 * The authorization response brings no code for the request that it was checked against. A visitor can cause it, so
 * answer it with a page that offers to sign in again, and not with a 500. `error` is what the provider said (RFC 6749
 * §4.1.2.1, such as `access_denied`; OpenID Connect Core 1.0 §3.1.2.6, such as `login_required`), or one of ours:
 *
 * - `no_pending_sign_in`: none has begun in this browser, or its session has expired
 * - `state_mismatch`: the response to another request, or none
 * - `nonce_mismatch`: the ID token is for another request
 * - `issuer_mismatch`: another provider than the one that was asked has answered (RFC 9207)
 * - `code_missing`, `invalid_response`: it has no code and no error, or a malformed parameter
 */
export class AuthorizationResponseError extends MsalKeyvError {
  override readonly code = 'ERR_AUTHORIZATION_RESPONSE'
  /** 403 when the user or the provider has refused (`access_denied`), else 400. */
  override readonly status: 400 | 403
  readonly error: string

  constructor(error: string) {
    const known = /^[\w.-]{1,64}$/.test(error) ? error : 'invalid_response'
    super(`the sign-in was not completed: ${known}`)
    this.error = known
    this.status = known === 'access_denied' ? 403 : 400
  }

  override get name(): 'AuthorizationResponseError' {
    return 'AuthorizationResponseError'
  }
}

/**
 * A credential's user must sign in again: evicted, signed out, or the provider asks for more. Begin a sign-in with
 * the `scopes` and `claims` of this error. Its name is the one by which the Azure SDK knows the same condition.
 */
export class AuthenticationRequiredError extends MsalKeyvError {
  override readonly code = 'ERR_AUTHENTICATION_REQUIRED'
  override readonly status = 401
  /** What a token was asked for. */
  readonly scopes: string[]
  /** What the provider or the resource demands beyond, as MSAL's and `beginSignIn`'s `claims`. */
  readonly claims: string | undefined

  /** `cause` is MSAL's error, copied without what it may quote: its name, code, and redacted message. */
  constructor(details: { scopes: string[]; claims: string | undefined; cause: unknown }) {
    super('the user has to sign in again; see cause', { cause: redacted(details.cause) })
    this.scopes = [...details.scopes]
    this.claims = details.claims
  }

  override get name(): 'AuthenticationRequiredError' {
    return 'AuthenticationRequiredError'
  }
}

/**
 * What arrived at a logout URL is not a valid logout request, or its token could not be verified. The message quotes
 * nothing of the request, and fits an OAuth `error_description`.
 */
export class LogoutCallbackError extends MsalKeyvError {
  override readonly code = 'ERR_LOGOUT_CALLBACK'
  /** OAuth's error code, the one that Back-Channel Logout 1.0 §2.8 answers with. */
  readonly error = 'invalid_request'
  /** The HTTP status to answer with: 400, or 405 when the method is neither GET nor POST. */
  override readonly status: 400 | 405
  /**
   * True when the issuer's keys could not be fetched, and `cause` says why: the token may be valid, and the provider
   * may send it again. False when the request itself is at fault.
   */
  readonly keysUnavailable: boolean

  constructor(
    message: string,
    details: { status?: 400 | 405; keysUnavailable?: boolean; cause?: unknown } = {},
  ) {
    const { status = 400, keysUnavailable = false, cause } = details
    super(message, cause === undefined ? undefined : { cause: redacted(cause) })
    this.status = status
    this.keysUnavailable = keysUnavailable
  }

  override get name(): 'LogoutCallbackError' {
    return 'LogoutCallbackError'
  }
}

/**
 * What arrived at the URL for Microsoft Graph's notifications is neither a validation request nor a collection of
 * change notifications. Answer with `status`; the message quotes nothing of the request.
 */
export class GraphNotificationError extends MsalKeyvError {
  override readonly code = 'ERR_GRAPH_NOTIFICATION'
  /** The HTTP status to answer with: 400, or 405 when the method is not POST. */
  override readonly status: 400 | 405

  constructor(message: string, status: 400 | 405 = 400) {
    super(message)
    this.status = status
  }

  override get name(): 'GraphNotificationError' {
    return 'GraphNotificationError'
  }
}

/** MSAL's codes for a provider that does not answer. */
const UNREACHABLE: readonly unknown[] = ['endpoints_resolution_error', 'network_error']
/** With which a provider says that it cannot answer now. */
const BUSY: readonly unknown[] = [429, 502, 503, 504]

/**
 * Gives an error of MSAL the status that web frameworks answer with by themselves, as ours have it: 401 where the user
 * must sign in, 503 where the provider cannot be reached, else 500. MSAL has a `status` too, the provider's: that is a
 * 401 for a wrong client secret, which no user can mend.
 */
export function withStatus(error: unknown): unknown {
  if (!(error instanceof Error) || !('errorCode' in error)) return error
  const { name, errorCode, status } = error as { name: string; errorCode: unknown; status?: unknown }
  const isUnavailable = UNREACHABLE.includes(errorCode) || BUSY.includes(status)
  const needsSignIn = name === 'InteractionRequiredAuthError' || errorCode === 'invalid_grant'
  return Object.assign(error, { status: needsSignIn ? 401 : isUnavailable ? 503 : 500 })
}

const LONGEST_MESSAGE = 300
/** How much of a message is looked at: a pattern that is not linear stays cheap on it, and it masks to less. */
const LONGEST_READ = 2048
const WITHHELD = '(message withheld: it may quote a record)'
// Marks of our records and of MSAL's cache, plain or inside a JSON string.
const QUOTES_A_RECORD = /home_account_id|"(?:v|secret|Account|AccessToken)\\*"\s*:/
/** What stands before a host: `user:password@`. The last `@` counts, for a password may have others. */
const CREDENTIALS = /\b([a-z][a-z\d+.-]{0,30}:\/\/)\S*@/gi
/** `password=…`, `"client_secret": "…"`, but not `(using password: YES)`. */
const NAMED_SECRET =
  /((?:password|passwd|pwd|secret|token|credential|assertion|api[-_]?key)["']?\s*[:=]\s*)(?!(?:yes|no)\b)("[^"]*(?:"|$)|'[^']*(?:'|$)|[^\s,;)]+)/gi
// Whatever holds 128 bits is longer (RFC 6749 section 10.10): 22 digits of base64.
const LONG_RUN = /[\w+/=~.-]{20,}/g
/** Of labels below that length, all lower case: the reader of the error must know which server it was. */
const HOST_NAME = /^(?:[a-z\d-]{1,19}\.)+[a-z\d-]{1,19}\.?$/

/** A driver's error may quote the command it failed on, and so a refresh token (P9): keeps what cannot. */
function redacted(cause: unknown): Error {
  const { name, message, code } =
    cause instanceof Error ? describe(cause) : { name: 'Error', message: String(cause) }
  // A SyntaxError quotes the text that it could not parse.
  const isWithheld = name === 'SyntaxError' || QUOTES_A_RECORD.test(message)
  const text = isWithheld ? WITHHELD : masked(message).slice(0, LONGEST_MESSAGE)
  const copy = new Error(text)
  copy.stack = `${name}: ${text}`
  return Object.assign(copy, { name, ...(code === undefined ? {} : { code }) })
}

/** Cut between words: half a secret does not look like one. */
function beginningOf(message: string): string {
  if (message.length <= LONGEST_READ) return message
  const beginning = message.slice(0, LONGEST_READ)
  return beginning.slice(0, Math.max(beginning.lastIndexOf(' '), beginning.lastIndexOf('\n')) + 1).concat('…')
}

function masked(message: string): string {
  return beginningOf(message)
    .replace(CREDENTIALS, '$1…@')
    .replace(NAMED_SECRET, '$1…')
    .replace(LONG_RUN, (run) => (HOST_NAME.test(run) ? run : '…'))
}

function describe(error: Error): { name: string; message: string; code?: string | number } {
  const { name, message } = error
  const code = 'code' in error ? error.code : undefined
  return { name, message, ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}) }
}
