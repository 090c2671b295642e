import type { AuthenticationResult } from '@azure/msal-node'
import { ConfigurationError } from '../errors.ts'
import { checkOptions } from '../guards.ts'
import type { Ahead } from '../kinds/cache-plugin.ts'
import { type CallMemory, findAccessToken } from '../msal/call-memory.ts'

/** How much a process keeps of the last answers: at most so many, of at most about so many bytes. */
type Bounds = { entries?: number | undefined; bytes?: number | undefined }

/** An answer that MSAL gave from the cache, and what it rests on. */
interface Remembered {
  /** The key of the generation record of the account whose eviction ends it; empty for an application's own. */
  readonly owner: string
  /** Of what the store held. */
  readonly fingerprint: string
  /** It is not handed out: {@link copyOf} is. */
  readonly answer: AuthenticationResult
  /** Before this, and from that on, MSAL would ask the provider; epoch milliseconds. */
  readonly from: number
  readonly until: number
  readonly bytes: number
}

const DEFAULT_ENTRIES = 5000
const DEFAULT_BYTES = 32 * 1024 * 1024
/** MSAL's own: it renews a token so many seconds before it expires. */
export const RENEWAL_OFFSET = 300
/** How often what has expired is looked for, in milliseconds. */
const SWEEP_INTERVAL = 60_000
/** About what an answer takes beside its tokens and its fingerprint. */
const OVERHEAD = 2048

/**
 * The last answers. An answer is a function of the record's text, of the request, and of the time: the store is read as
 * ever, and where it holds what it held, an answer need not be made again.
 *
 * It holds access tokens, ID tokens and account ids, no refresh tokens, for as long as MSAL would return them.
 */
export class RememberedAnswers {
  readonly #answers = new Map<string, Remembered>()
  readonly #most: Required<{ [Option in keyof Bounds]: number }>
  #bytes = 0
  #sweeps: NodeJS.Timeout | undefined

  /** @throws {ConfigurationError} naming the option */
  constructor(options: Bounds | false | undefined) {
    this.#most = bounds(options)
  }

  /**
   * @param request everything that can change the answer
   */
  recall(request: string, loaded: Ahead): AuthenticationResult | undefined {
    const known = this.#answers.get(request)
    if (known === undefined) return undefined
    const now = Date.now()
    if (known.fingerprint !== loaded.fingerprint() || now < known.from || now >= known.until) {
      this.#forget(request, known)
      return undefined
    }
    // The last used leave last.
    this.#answers.delete(request)
    this.#answers.set(request, known)
    return known.answer
  }

  /**
   * Remembers an answer that MSAL gave from what was loaded, and would give again.
   * @param memory that MSAL gave it from
   */
  remember(request: string, loaded: Ahead, result: AuthenticationResult, memory: CallMemory): void {
    const isBearer = result.tokenType.toLowerCase() === 'bearer'
    if (this.#most.entries === 0 || !result.fromCache || !isBearer) return
    const fingerprint = loaded.fingerprint()
    const token = findAccessToken(memory, result.accessToken)
    if (fingerprint === undefined || token === undefined) return
    // MSAL rounds its seconds to the nearest.
    const from = Number(token.cachedAt) * 1000 - 500
    const renewal = Math.min(Number(token.expiresOn) - RENEWAL_OFFSET, Number(token.refreshOn || Infinity))
    const until = Math.min(renewal * 1000, loaded.expiresAt())
    if (!(from <= Date.now() && Date.now() < until)) return
    const texts = [request, fingerprint, result.accessToken, result.idToken, result.idToken]
    const bytes = texts.reduce((sum, text) => sum + text.length, OVERHEAD)
    if (bytes > this.#most.bytes) return
    const previous = this.#answers.get(request)
    if (previous !== undefined) this.#forget(request, previous)
    this.#answers.set(request, { owner: loaded.owner(), fingerprint, answer: result, from, until, bytes })
    this.#bytes += bytes
    for (const [oldest, answer] of this.#answers) {
      if (this.#answers.size <= this.#most.entries && this.#bytes <= this.#most.bytes) break
      this.#forget(oldest, answer)
    }
    this.#sweeps ??= setInterval(() => this.#sweep(), SWEEP_INTERVAL)
    // A test environment like a browser's has numbers for timers.
    this.#sweeps.unref?.()
  }

  /** Forgets what is of this account. */
  forget(owner: string): void {
    for (const [request, answer] of this.#answers) {
      if (answer.owner === owner) this.#forget(request, answer)
    }
  }

  #sweep(): void {
    const now = Date.now()
    for (const [request, answer] of this.#answers) if (answer.until <= now) this.#forget(request, answer)
  }

  #forget(request: string, { bytes }: Remembered): void {
    this.#answers.delete(request)
    this.#bytes -= bytes
    if (this.#answers.size > 0) return
    clearInterval(this.#sweeps)
    this.#sweeps = undefined
  }
}

function bounds(options: Bounds | false | undefined): { entries: number; bytes: number } {
  if (options === false) return { entries: 0, bytes: 0 }
  const given = options === undefined ? {} : options
  const demand = 'rememberedAnswers must be false, or an object { entries, bytes }'
  checkOptions(given, ['entries', 'bytes'], demand, 'rememberedAnswers.')
  const { entries = DEFAULT_ENTRIES, bytes = DEFAULT_BYTES } = given
  for (const [name, value] of Object.entries({ entries, bytes })) {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new ConfigurationError(`rememberedAnswers.${name} must be a whole number, 0 or more`)
    }
  }
  return { entries, bytes }
}

/** A copy of what an answer is made of: plain objects, arrays, maps, dates and what cannot be changed. */
export function copyOf<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(copyOf) as Value
  if (value instanceof Date) return new Date(value) as Value
  if (value instanceof Map) return new Map([...value].map(([key, each]) => [key, copyOf(each)])) as Value
  // Node copies a whole object faster than its members one by one.
  const made = { ...value } as Record<string, unknown>
  for (const key in made) if (typeof made[key] === 'object') made[key] = copyOf(made[key])
  return made as Value
}
