import { Readable } from 'node:stream'
import { ConfigurationError } from '../errors.ts'
import type { LogoutRequest } from './logout-request.ts'

/** How long a whole body may take to arrive, in milliseconds. */
export const BODY_TIMEOUT = 5000

/** A request that nobody can accept. The endpoint that reads it turns this into an error of its own. */
export class BadRequestError extends Error {}

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
  request: LogoutRequest,
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
