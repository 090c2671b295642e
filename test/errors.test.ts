import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { LogoutCallbackError, StoreUnavailableError } from '../src/index.ts'
import { mutant } from './support/mutant.ts'

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
