import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { ConfigurationError } from '../errors.ts'

/**
 * A request as the host's framework has it: a web `Request` (Hono, Next.js, Remix …), a Node `IncomingMessage`
 * (`node:http`, Express, Koa's `ctx.req`), or anything with these members, such as Fastify's request.
 *
 * `url` is absolute, or a path; only its query matters. `body` is a string, a `Buffer`, `URLSearchParams`, `FormData`
 * or the object that a body parser made of it; without it, the body of an `IncomingMessage` is read here.
 * `headers` is a web `Headers`, or names and values, names in any letter case. Without `headers`, the content type is not checked.
 */
export type CallbackRequest =
  | Request
  | IncomingMessage
  | {
      method: string
      url: string
      headers?:
        | { get(name: string): string | null }
        | { readonly [name: string]: string | readonly string[] | undefined }
        | undefined
      body?: unknown
    }

/** A request that nobody can accept. The endpoint that reads it turns this into an error of its own. */
export class BadRequestError extends Error {}

/** The parameters of a query or a form. */
export interface RequestParameters {
  /** Every value of the parameter with this name. */
  getAll(name: string): readonly unknown[]
}

/** A request, whatever its shape. What it throws as a {@link BadRequestError}, the endpoint turns into its own. */
export interface ReceivedRequest {
  /** In upper case. */
  readonly method: string
  /** @throws {BadRequestError} when the URL is too long */
  readQuery(): RequestParameters
  /**
   * Reads an `application/x-www-form-urlencoded` body.
   * @throws {BadRequestError} when the body is not a form, too long, cut off, or too slow
   * @throws {ConfigurationError} when something else has read it
   */
  readForm(): Promise<RequestParameters>
  /**
   * Reads an `application/json` body.
   * @param longest in bytes
   * @throws {BadRequestError} when the body is not JSON, too long, cut off, or too slow
   * @throws {ConfigurationError} when something else has read it
   */
  readJson(longest: number): Promise<unknown>
}

/** The longest form, and the longest URL, in bytes: a logout token has about a thousand. */
export const LONGEST_REQUEST = 64 * 1024
/** How long a whole body may take to arrive, in milliseconds. */
export const BODY_TIMEOUT = 5000
/** The longest identifier, or value that comes back unchanged, in characters. */
const LONGEST_VALUE = 1024

const FORM = { mediaType: 'application/x-www-form-urlencoded', longest: LONGEST_REQUEST }
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f-\u009f]/

/** @throws {ConfigurationError} when `request` is not a request */
export function receive(request: CallbackRequest): ReceivedRequest {
  const { method, url } = (request ?? {}) as { method?: unknown; url?: unknown }
  if (typeof method !== 'string' || typeof url !== 'string') {
    throw new ConfigurationError(
      'request must be a web Request, a Node IncomingMessage, or { method, url, headers, body }',
    )
  }
  return {
    method: method.toUpperCase(),
    readQuery: () => queryOf(url),
    readForm: async () => formOf(await readBody(request, FORM)),
    readJson: async (longest) => jsonOf(await readBody(request, { mediaType: 'application/json', longest })),
  }
}

/**
 * The value of a parameter that may occur once. A parameter without a value counts as absent (RFC 6749 §3.1).
 * @param longest in characters
 * @throws {BadRequestError}
 */
export function onlyValue(
  parameters: RequestParameters,
  name: string,
  longest: number = LONGEST_VALUE,
): string | undefined {
  const [value, ...others] = parameters.getAll(name)
  if (others.length > 0) throw new BadRequestError(`${name} occurs more than once`)
  if (value === undefined || value === '') return undefined
  if (!isValue(value, longest)) {
    throw new BadRequestError(`${name} must be printable text of at most ${longest} characters`)
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
  if (url.length > LONGEST_REQUEST) throw new BadRequestError('the URL is too long')
  const [beforeFragment = ''] = url.split('#', 1)
  const start = beforeFragment.indexOf('?')
  return new URLSearchParams(start < 0 ? '' : beforeFragment.slice(start + 1))
}

function formOf(body: unknown): RequestParameters {
  if (typeof body === 'string') return new URLSearchParams(body)
  if (typeof body !== 'object' || body === null) return new URLSearchParams()
  if ('getAll' in body && typeof body.getAll === 'function') return body as RequestParameters
  const parsed = body as Record<string, unknown>
  return { getAll: (name) => (Object.hasOwn(parsed, name) ? [parsed[name]].flat() : []) }
}

function jsonOf(body: unknown): unknown {
  if (typeof body !== 'string') return body
  try {
    return JSON.parse(body)
  } catch {
    // V8's message quotes the text (P9).
    throw new BadRequestError('the body is not JSON')
  }
}

/** What an endpoint reads. */
export interface ExpectedBody {
  /** In lower case, without parameters. */
  readonly mediaType: string
  /** The longest body, in bytes. */
  readonly longest: number
}

/**
 * Reads the body of a request, unless a body parser has.
 * @returns the text, or what the body parser made of it; undefined when there is no body
 * @throws {BadRequestError} when it is of another type, too long, cut off, or too slow
 * @throws {ConfigurationError} when something has read it and left nothing behind
 */
export async function readBody(
  request: CallbackRequest,
  { mediaType, longest }: ExpectedBody,
): Promise<unknown> {
  const { headers, body, bodyUsed } = request as { headers?: unknown; body?: unknown; bodyUsed?: unknown }
  if (headers !== undefined && headers !== null && mediaTypeOf(headers) !== mediaType) {
    throw new BadRequestError(`the content type is not ${mediaType}`)
  }
  if (isWebStream(body)) {
    if (bodyUsed === true || body.locked) throw consumed()
    return readBounded(chunksOfWebStream(body), longest)
  }
  if (isEmpty(body) && request instanceof Readable) {
    if (!request.readableDidRead && !request.readableEnded) {
      return readBounded(chunksOfNodeStream(request), longest)
    }
    if (body === undefined || body === null) throw consumed()
  }
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) return body
  if (Buffer.byteLength(body) > longest) throw tooLong(longest)
  return typeof body === 'string' ? body : Buffer.from(body).toString()
}

function mediaTypeOf(headers: unknown): string {
  const [mediaType = ''] = contentTypeOf(headers).split(';', 1)
  return mediaType.trim().toLowerCase()
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

function tooLong(longest: number): BadRequestError {
  return new BadRequestError(`the body is longer than ${longest} bytes`)
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

function readBounded(source: Source, longest: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = []
    let size = 0
    const settle = (outcome: () => void) => {
      clearTimeout(timer)
      stop()
      outcome()
    }
    const refuse = (error: BadRequestError) => settle(() => reject(error))
    const timer = setTimeout(() => refuse(new BadRequestError('the body was too slow')), BODY_TIMEOUT)
    const stop = source({
      chunk(bytes) {
        const chunk = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
        if (!(chunk instanceof Uint8Array))
          return refuse(new BadRequestError('the body does not consist of bytes'))
        size += chunk.byteLength
        if (size > longest) return refuse(tooLong(longest))
        chunks.push(chunk)
      },
      end: () => settle(() => resolve(Buffer.concat(chunks).toString())),
      fail: () => refuse(new BadRequestError('the body was cut off')),
    })
  })
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
