import { inspect } from 'node:util'
import { ClientAuthError, InteractionRequiredAuthError, ServerError } from '@azure/msal-node'
import { describe, expect, test } from 'vitest'
import { withStatus } from '../src/errors.ts'
import * as library from '../src/index.ts'
import {
  ConfigurationError,
  LogoutCallbackError,
  MsalKeyvError,
  StoreUnavailableError,
} from '../src/index.ts'
import { mutant } from './support/mutant.ts'
import { otherCopy } from './support/other-copy.ts'

/** The two errors that pass on what somebody else's code says. */
const ERRORS: [string, (cause: unknown) => Error][] = [
  ['StoreUnavailableError', (cause) => new StoreUnavailableError('read', { timedOut: false, cause })],
  ['LogoutCallbackError', (cause) => new LogoutCallbackError('no keys', { keysUnavailable: true, cause })],
]

function shown(error: Error): string {
  return inspect(error, { depth: 10, showHidden: true }) + JSON.stringify(error) + String(error.cause)
}

function syntaxError(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    return error
  }
}

describe.each(ERRORS)('P9: %s passes on', (_, make) => {
  test('of a SyntaxError that it was one, and nothing of the text', () => {
    const error = make(syntaxError('hunter2!'))
    expect(shown(error)).not.toMatch(/hunter2|unexpected token/i)
    expect(error.cause).toMatchObject({ name: 'SyntaxError' })
  })

  test.each([
    ['a password in a URL', 'connect to redis://app:hunter2@cache.example:6379 failed'],
    ['one with an @ and a slash in it', 'redis://app:hunter2@/hunter2@cache.example:6379'],
    ['one without a user', 'invalid url: rediss://:hunter2@cache.example'],
    ['two URLs', 'redis://a:hunter2@one.example, mysql://b:hunter2@two.example'],
    ['a named password', 'option password=hunter2; host=cache.example'],
    ['a named secret in JSON', 'sent {"client_secret": "hunter2", "scope": "x"}'],
    ['a quoted one of two words', "password: 'hunter2 hunter2' refused"],
    ['an opaque token of 22 characters', 'bad value hunter2hunter2hunter2h in command'],
    ['a client secret as Entra ID makes them', 'rejected hunt~Q8hunter2.hunter2_-hunter2hunter2'],
    ['one that is not an Error', 'redis://app:hunter2@cache.example'],
  ])('no secret: %s', (what, message) => {
    const error = make(what === 'one that is not an Error' ? message : new Error(message))
    expect(shown(error)).not.toContain('hunter2')
  })

  test.each([
    'connect ECONNREFUSED 127.0.0.1:6379',
    'getaddrinfo ENOTFOUND my-cache.westeurope.redis.azure.net',
    'WRONGPASS invalid username-password pair or user is disabled.',
    "Access denied for user 'app'@'10.0.0.7' (using password: YES)",
    'OOM command not allowed when used memory > maxmemory',
    'SQLITE_BUSY: database is locked',
  ])('what helps: %s', (message) => {
    expect(make(Object.assign(new Error(message), { code: 'E' })).cause).toMatchObject({ message, code: 'E' })
  })
})

test('P9: a library that copies the message of a SyntaxError quotes the record', async () => {
  const broken = await mutant('errors quote SyntaxErrors')
  const error = new broken.StoreUnavailableError('read', { timedOut: false, cause: syntaxError('hunter2!') })
  expect(shown(error)).toContain('hunter2')
})

/** One of each class. */
function oneOfEach(own: typeof library): MsalKeyvError[] {
  const outage = new own.StoreUnavailableError('read', { timedOut: true })
  return [
    outage,
    new own.AccountEvictedError(),
    new own.AuthenticationRequiredError({ scopes: [], claims: undefined, cause: outage }),
    new own.AuthorizationResponseError('state_mismatch'),
    new own.ConfigurationError('clientId must be a non-empty string'),
    new own.EvictionError({ fenced: false, cause: outage }),
    new own.LogoutCallbackError('logout_token is missing'),
  ]
}

test('every error has a status to answer with', () => {
  const statuses = Object.fromEntries(oneOfEach(library).map(({ name, status }) => [name, status]))
  expect(statuses).toEqual({
    StoreUnavailableError: 503,
    AccountEvictedError: 401,
    AuthenticationRequiredError: 401,
    AuthorizationResponseError: 400,
    ConfigurationError: 500,
    EvictionError: 503,
    LogoutCallbackError: 400,
  })
  expect(new library.AuthorizationResponseError('access_denied').status).toBe(403)
})

describe.each(['esm', 'cjs'] as const)('another copy of the library, minified, as %s', (format) => {
  test('has errors whose name and stack say what they are', async () => {
    for (const error of oneOfEach(await otherCopy(format, { minify: true }))) {
      expect(error.name).toMatch(/^[A-Z]\w+Error$/)
      expect(error.stack).toMatch(new RegExp(`^${error.name}: `))
    }
  })

  test('has errors that are instances of the classes of this one, and the other way round', async () => {
    const other = await otherCopy(format, { minify: true })
    for (const [theirs, here] of [
      [other, library],
      [library, other],
    ] as const) {
      for (const error of oneOfEach(theirs)) {
        const known = Object.entries(here).filter(
          ([name, value]) => name.endsWith('Error') && error instanceof (value as typeof MsalKeyvError),
        )
        expect(known.map(([name]) => name).sort()).toEqual([error.name, 'MsalKeyvError'].sort())
      }
    }
  })
})

test('instanceof says no to what is no error of ours', () => {
  class Own extends ConfigurationError {}
  expect(new Own('it') instanceof ConfigurationError).toBe(true)
  expect(new ConfigurationError('it') instanceof Own).toBe(false)
  for (const value of [
    undefined,
    null,
    'ConfigurationError',
    new Error('x'),
    { name: 'ConfigurationError' },
  ]) {
    expect(value instanceof MsalKeyvError).toBe(false)
  }
})

test('a copy whose errors bear no mark is not recognised', async () => {
  const broken = await mutant('errors are of one copy')
  expect(new broken.ConfigurationError('it') instanceof ConfigurationError).toBe(false)
})

test('a copy that takes its names from its classes loses them to a minifier', async () => {
  const broken = await otherCopy('esm', { minify: true, mutant: 'errors are named by their classes' })
  expect(new broken.ConfigurationError('it').name).not.toBe('ConfigurationError')
})

/** What MSAL makes of a token response with this HTTP status. */
function refusal(code: string, status: number): ServerError {
  return Object.assign(new ServerError(code, ''), { status })
}

describe("the status of MSAL's errors", () => {
  test.each([
    [401, 'an evicted user', new InteractionRequiredAuthError('no_tokens_found', '')],
    [401, 'a refresh token that is refused', refusal('invalid_grant', 400)],
    [500, 'a wrong client secret', refusal('invalid_client', 401)],
    [503, 'a provider that is busy', refusal('temporarily_unavailable', 503)],
    [503, 'a provider that cannot be reached', new ClientAuthError('network_error', '')],
    [500, 'any other', new ClientAuthError('something_else', '')],
  ])('%i for %s, however often it is given', (status, _, error) => {
    expect(withStatus(withStatus(error))).toBe(error)
    expect(error).toMatchObject({ status })
  })

  test('that of others is theirs', () => {
    expect(withStatus(new TypeError('it'))).not.toHaveProperty('status')
    expect(withStatus('not an error')).toBe('not an error')
  })
})
