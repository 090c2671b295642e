import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { ConfigurationError, LogoutCallbackError } from '../errors.ts'

/** The headers of a {@link LogoutRequest}: a web `Headers`, or names and values, names in any case. */
export type LogoutRequestHeaders =
  | { get(name: string): string | null }
  | { readonly [name: string]: string | readonly string[] | undefined }

/**
 * A request as the host's framework has it: a web `Request` (Hono, Next.js, Remix …), a Node `IncomingMessage`
 * (`node:http`, Express, Koa's `ctx.req`), or anything with these members, such as Fastify's request.
 *
 * `url` is absolute, or a path; only its query matters. `body` is a string, a `Buffer`, `URLSearchParams`, `FormData`
 * or the object that a body parser made of it; without it, the body of an `IncomingMessage` is read here.
 * Without `headers`, the content type is taken on trust.
 */
export type LogoutRequest =
  | Request
  | IncomingMessage
  | { method: string; url: string; headers?: LogoutRequestHeaders | undefined; body?: unknown }

/** The parameters of a query or a form: every value of the one named. */
export interface RequestParameters {
  getAll(name: string): readonly unknown[]
}

/** What both channels need of a request, whatever its shape. */
export interface ReceivedRequest {
  /** In upper case. */
  readonly method: string
  /** @throws {LogoutCallbackError} when the URL is too long */
  readQuery(): RequestParameters
  /**
   * @throws {LogoutCallbackError} when the body is no form, too long, cut off, or too slow
   * @throws {ConfigurationError} when something else has read it
   */
  readForm(): Promise<RequestParameters>
}

/** The longest body, and the longest URL, in bytes: a logout token has about a thousand. */
export const LONGEST_REQUEST = 64 * 1024
/** How long a whole body may take to arrive, in milliseconds. */
export const BODY_TIMEOUT = 5000
/** The longest `sid`, `iss`, `sub`, `jti` or `state`, in characters. */
const LONGEST_VALUE = 1024

const FORM = /^\s*application\/x-www-form-urlencoded\s*(?:;|$)/i
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f-\u009f]/

/** @throws {ConfigurationError} when it is no request */
export function receive(request: LogoutRequest): ReceivedRequest {
  const { method, url } = (request ?? {}) as { method?: unknown; url?: unknown }
  if (typeof method !== 'string' || typeof url !== 'string') {
    throw new ConfigurationError(
      'request must be a web Request, a Node IncomingMessage, or { method, url, headers, body }',
    )
  }
  return {
    method: method.toUpperCase(),
    readQuery: () => queryOf(url),
    readForm: () => readForm(request),
  }
}

/**
 * The value of a parameter that may be there once. One without a value counts as absent (RFC 6749 §3.1).
 * @param longest in characters
 * @throws {LogoutCallbackError}
 */
export function onlyValue(
  parameters: RequestParameters,
  name: string,
  longest: number = LONGEST_VALUE,
): string | undefined {
  const [value, ...others] = parameters.getAll(name)
  if (others.length > 0) throw new LogoutCallbackError(`${name} is there more than once`)
  if (value === undefined || value === '') return undefined
  if (!isValue(value, longest)) {
    throw new LogoutCallbackError(`${name} is too long, or not the text it has to be`)
  }
  return value
}

/** Whether this can be an identifier or a `state`: opaque, not empty, bounded, and printable. */
export function isValue(value: unknown, longest: number = LONGEST_VALUE): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    value.length <= longest &&
    !CONTROL_CHARACTER.test(value) &&
    value.isWellFormed()
  )
}

// Not `new URL`: frameworks hand over paths, relative to where they mounted the route, and clients send anything.
function queryOf(url: string): URLSearchParams {
  if (url.length > LONGEST_REQUEST) throw new LogoutCallbackError('the URL is too long')
  const [beforeFragment = ''] = url.split('#', 1)
  const start = beforeFragment.indexOf('?')
  return new URLSearchParams(start < 0 ? '' : beforeFragment.slice(start + 1))
}

async function readForm(request: LogoutRequest): Promise<RequestParameters> {
  const { headers, body, bodyUsed } = request as { headers?: unknown; body?: unknown; bodyUsed?: unknown }
  if (headers !== undefined && headers !== null && !FORM.test(contentTypeOf(headers))) {
    throw new LogoutCallbackError('the content type is not application/x-www-form-urlencoded')
  }
  if (isWebStream(body)) {
    if (bodyUsed === true || body.locked) throw consumed()
    return new URLSearchParams(await readBounded(chunksOfWebStream(body)))
  }
  if (!isEmpty(body)) return formOf(body)
  if (request instanceof Readable) {
    if (!request.readableDidRead && !request.readableEnded) {
      return new URLSearchParams(await readBounded(chunksOfNodeStream(request)))
    }
    if (body === undefined || body === null) throw consumed()
  }
  return formOf(body)
}

function contentTypeOf(headers: unknown): string {
  if (typeof (headers as { get?: unknown }).get === 'function') {
    return (headers as Headers).get('content-type') ?? ''
  }
  const entries = Object.entries(headers as Record<string, unknown>)
  const [value, ...others] = [entries.find(([name]) => name.toLowerCase() === 'content-type')?.[1]].flat()
  return typeof value === 'string' && others.length === 0 ? value : ''
}

function isWebStream(body: unknown): body is ReadableStream<unknown> {
  return typeof (body as { getReader?: unknown } | null | undefined)?.getReader === 'function'
}

// Express 4 puts an empty object there when none of its parsers has read the body.
function isEmpty(body: unknown): boolean {
  if (typeof body !== 'object' || body === null) return body === undefined || body === null || body === ''
  return Object.getPrototypeOf(body) === Object.prototype && Object.keys(body).length === 0
}

function consumed(): ConfigurationError {
  return new ConfigurationError(
    'the body of the request was read before: pass { method, url, headers, body } with the parsed body',
  )
}

function formOf(body: unknown): RequestParameters {
  if (typeof body === 'string' || body instanceof Uint8Array) {
    if (Buffer.byteLength(body) > LONGEST_REQUEST) throw tooLong()
    return new URLSearchParams(typeof body === 'string' ? body : Buffer.from(body).toString())
  }
  if (typeof body !== 'object' || body === null) return new URLSearchParams()
  if ('getAll' in body && typeof body.getAll === 'function') return body as RequestParameters
  const parsed = body as Record<string, unknown>
  return { getAll: (name) => (Object.hasOwn(parsed, name) ? [parsed[name]].flat() : []) }
}

interface Receiver {
  chunk(bytes: unknown): void
  end(): void
  fail(): void
}

/**
 * Begins to read, and returns what stops it. Stopping neither drains the source nor destroys it: the answer leaves
 * through the same socket, and the server closes that when nothing moves any more.
 */
type Source = (receiver: Receiver) => () => void

function readBounded(source: Source): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = []
    let size = 0
    const settle = (outcome: () => void) => {
      clearTimeout(timer)
      stop()
      outcome()
    }
    const refuse = (error: LogoutCallbackError) => settle(() => reject(error))
    const timer = setTimeout(() => refuse(new LogoutCallbackError('the body was too slow')), BODY_TIMEOUT)
    const stop = source({
      chunk(bytes) {
        const chunk = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
        if (!(chunk instanceof Uint8Array)) return refuse(new LogoutCallbackError('the body is not of bytes'))
        size += chunk.byteLength
        if (size > LONGEST_REQUEST) return refuse(tooLong())
        chunks.push(chunk)
      },
      end: () => settle(() => resolve(Buffer.concat(chunks).toString())),
      fail: () => refuse(new LogoutCallbackError('the body was cut off')),
    })
  })
}

function tooLong(): LogoutCallbackError {
  return new LogoutCallbackError(`the body is longer than ${LONGEST_REQUEST} bytes`)
}

function chunksOfNodeStream(stream: Readable): Source {
  return ({ chunk, end, fail }) => {
    // An error event that nobody listens to ends the process: this listener stays.
    stream.on('error', fail).on('close', fail).on('end', end).on('data', chunk)
    if (stream.destroyed) queueMicrotask(fail)
    stream.resume()
    return () => {
      stream.off('close', fail).off('end', end).off('data', chunk)
      stream.pause()
    }
  }
}

function chunksOfWebStream(stream: ReadableStream<unknown>): Source {
  return ({ chunk, end, fail }) => {
    const reader = stream.getReader()
    let stopped = false
    const read = async (): Promise<void> => {
      try {
        while (!stopped) {
          const { done, value } = await reader.read()
          if (stopped) return
          if (done) return end()
          chunk(value)
        }
      } catch {
        if (!stopped) fail()
      }
    }
    void read()
    return () => {
      stopped = true
      reader.releaseLock()
    }
  }
}
