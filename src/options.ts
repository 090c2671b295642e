import { LONGEST_TTL } from './accounts/generation.ts'
import { ConfigurationError } from './errors.ts'
import { checkOptions, isName } from './guards.ts'
import { type EncryptionKey, resolveEncryptionKeys, type SealingKeys } from './records/encryption-keys.ts'
import type { KeyvLike } from './store/adapter.ts'

const DAY = 24 * 60 * 60 * 1000
const LONGEST_TIMEOUT = 2 ** 31 - 1
const SHORTEST_KEY_SECRET = 16

/** Options of {@link KeyvCachePlugin}. Durations are milliseconds. */
export interface KeyvCachePluginOptions {
  /** A Keyv instance, 5.6 or later or 6. The plugin adds one `error` listener and never calls `clear()`. */
  store: KeyvLike
  /** The application's client id, part of every key: applications may share a store. */
  clientId: string
  /** Part of every key. Needed when one client id signs users in at two authorities, whose ids may be equal. */
  namespace?: string | undefined
  /**
   * Host names that the identity provider has had, such as `['contoso.b2clogin.com']` after a move to a custom domain.
   * The next sign-in of an account replaces what was stored for it there, and until then the account has to sign in
   * again: nothing of the old host is sent to the new one. Default none: such a sign-in is refused, since an account of
   * another host may be another person's.
   */
  movedFrom?: readonly string[] | undefined
  /** How long an account's record lives after its last write. Default 14 days, at most 90. */
  ttl?: number | undefined
  /** How long one store call may take, waiting for another of the same account included. Default 3000. */
  storeTimeout?: number | undefined
  /**
   * Seals what is stored (AES-256-GCM): the first key seals, all open. Make one with `generateEncryptionKey()`. To
   * rotate, add a key behind the others, deploy, make it the first, deploy, and drop the old one after `ttl`.
   */
  encryptionKeys?: readonly EncryptionKey[] | undefined
  /**
   * Also opens records that are not sealed, while sealing is being switched on in a live system. Switch it off again:
   * anyone who can write the store could plant such records. Default false.
   */
  allowPlaintext?: boolean | undefined
  /**
   * When the store fails while a refreshed token is being stored: `'throw'` (default) rejects MSAL's call, and
   * `'report'` returns the token and publishes `msal-keyv:commit-failed`. Sign-ins, evictions, and the loads that a
   * call is answered from always throw.
   */
  onCommitFailure?: 'throw' | 'report' | undefined
  /**
   * Names the records by HMAC-SHA-256 instead of SHA-256, so that who reads the store cannot test whether it
   * holds a known account. At least 16 bytes, the same on every server; another secret finds no old record.
   */
  keySecret?: string | Uint8Array | undefined
}

/** The options with their defaults, checked. */
export interface Settings {
  readonly store: KeyvLike
  readonly clientId: string
  readonly namespace: string | undefined
  readonly movedFrom: readonly string[]
  readonly ttl: number
  readonly storeTimeout: number
  readonly keySecret: string | Uint8Array | undefined
  readonly encryptionKeys: SealingKeys | undefined
  readonly allowPlaintext: boolean
  readonly onCommitFailure: 'throw' | 'report'
}

const OPTION_NAMES = [
  'store',
  'clientId',
  'namespace',
  'movedFrom',
  'ttl',
  'storeTimeout',
  'keySecret',
  'encryptionKeys',
  'allowPlaintext',
  'onCommitFailure',
]

/** @throws {ConfigurationError} naming the option */
export function resolveOptions(options: KeyvCachePluginOptions): Settings {
  checkOptions(options, OPTION_NAMES)
  const {
    onCommitFailure = 'throw',
    store,
    clientId,
    namespace,
    movedFrom = [],
    ttl = 14 * DAY,
    storeTimeout = 3000,
    keySecret,
    encryptionKeys,
    allowPlaintext = false,
  } = options
  checkKeyv(store)
  if (!isName(clientId)) throw new ConfigurationError('clientId must be a non-empty string')
  if (namespace !== undefined && !isName(namespace)) {
    throw new ConfigurationError('namespace must be a non-empty string')
  }
  if (!Array.isArray(movedFrom) || !movedFrom.every(isHost)) {
    throw new ConfigurationError("movedFrom must be host names, without https://: ['contoso.b2clogin.com']")
  }
  if (!isDuration(ttl, LONGEST_TTL)) {
    throw new ConfigurationError('ttl must be milliseconds, more than 0 and at most 90 days')
  }
  if (!isDuration(storeTimeout, LONGEST_TIMEOUT)) {
    throw new ConfigurationError(
      `storeTimeout must be milliseconds, more than 0 and at most ${LONGEST_TIMEOUT}`,
    )
  }
  if (onCommitFailure !== 'throw' && onCommitFailure !== 'report') {
    throw new ConfigurationError("onCommitFailure must be 'throw' or 'report'")
  }
  if (typeof allowPlaintext !== 'boolean')
    throw new ConfigurationError('allowPlaintext must be true or false')
  if (allowPlaintext && encryptionKeys === undefined) {
    throw new ConfigurationError(
      'allowPlaintext has no meaning without encryptionKeys: pass both, or neither',
    )
  }
  return {
    store,
    clientId,
    namespace,
    movedFrom: movedFrom.map((host) => host.toLowerCase()),
    ttl,
    storeTimeout,
    keySecret: copyKeySecret(keySecret),
    encryptionKeys: resolveEncryptionKeys(encryptionKeys),
    allowPlaintext,
    onCommitFailure,
  }
}

function isHost(value: unknown): boolean {
  return (
    isName(value) &&
    URL.canParse(`https://${value}`) &&
    new URL(`https://${value}`).host === value.toLowerCase()
  )
}

function checkKeyv(store: unknown): void {
  if (typeof store !== 'object' || store === null) {
    throw new ConfigurationError('store must be a Keyv instance, such as new Keyv(new KeyvRedis(url))')
  }
  if (store instanceof Map) {
    throw new ConfigurationError('store is a bare Map: wrap it, as in new Keyv({ store: map })')
  }
  for (const method of ['getRaw', 'getMany', 'set', 'delete', 'on'] as const) {
    if (typeof (store as Partial<KeyvLike>)[method] !== 'function') {
      throw new ConfigurationError(`store has no method ${method}: it must be a Keyv instance, 5.6 or later`)
    }
  }
  const { opts } = store as { opts?: { emitErrors?: unknown } }
  if (opts?.emitErrors === false) {
    throw new ConfigurationError(
      'store hides its failures: leave emitErrors: false out of the options of its Keyv',
    )
  }
}

function copyKeySecret(secret: unknown): string | Uint8Array | undefined {
  if (secret === undefined) return undefined
  if (typeof secret !== 'string' && !(secret instanceof Uint8Array)) {
    throw new ConfigurationError('keySecret must be a string or a Buffer')
  }
  if (Buffer.byteLength(secret) < SHORTEST_KEY_SECRET) {
    throw new ConfigurationError(`keySecret must have at least ${SHORTEST_KEY_SECRET} bytes`)
  }
  return typeof secret === 'string' ? secret : Uint8Array.from(secret)
}

function isDuration(value: unknown, longest: number): value is number {
  return typeof value === 'number' && value > 0 && value <= longest
}
