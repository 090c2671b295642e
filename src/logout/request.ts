import { ConfigurationError } from '../errors.ts'
import { BadRequestError, readBody } from './body.ts'
import type { LogoutRequest } from './logout-request.ts'

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
/** The longest identifier, or value that comes back unchanged, in characters. */
const LONGEST_VALUE = 1024

const FORM = { mediaType: 'application/x-www-form-urlencoded', longest: LONGEST_REQUEST }
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f-\u009f]/

/** @throws {ConfigurationError} when `request` is not a request */
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
