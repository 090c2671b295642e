import { describe, expect, test } from 'vitest'
import { ConfigurationError } from '../../src/errors.ts'
import { type CallbackRequest, LONGEST_REQUEST, onlyValue, receive } from '../../src/logout/request.ts'
import { badRequest } from './outcome.ts'

const FORM = 'application/x-www-form-urlencoded'

async function tokenOf(request: CallbackRequest): Promise<string | undefined> {
  return onlyValue(await receive(request).readForm(), 'logout_token', LONGEST_REQUEST)
}

describe('a plain object', () => {
  const nobody = Object.create(null) as Record<string, unknown>
  nobody.logout_token = 'token'
  const formData = new FormData()
  formData.set('logout_token', 'token')

  test.each([
    ['text', 'logout_token=token'],
    ['a Buffer', Buffer.from('logout_token=token')],
    ['URLSearchParams', new URLSearchParams({ logout_token: 'token' })],
    ['FormData', formData],
    ['a parsed object', { logout_token: 'token', other: ['x'] }],
    ['a parsed object without prototype', nobody],
    ['a list of one', { logout_token: ['token'] }],
  ])('with a body that is %s', async (_, body) => {
    expect(await tokenOf({ method: 'POST', url: '/logout', body })).toBe('token')
  })

  test.each([
    ['absent', undefined],
    ['null', null],
    ['empty text', ''],
    ['a number', 7],
    ['an empty object', {}],
    ['a list', ['token']],
    ['an object that inherits it', Object.create({ logout_token: 'token' })],
  ])('with a body that is %s has no token', async (_, body) => {
    expect(await tokenOf({ method: 'POST', url: '/logout', body })).toBeUndefined()
  })

  test.each([
    ['two in text', 'logout_token=a&logout_token=b'],
    ['two in an object', { logout_token: ['a', 'b'] }],
    ['two in a list of lists', { logout_token: [['a', 'b']] }],
    ['an object', { logout_token: { a: 'b' } }],
    ['a number', { logout_token: 7 }],
    [
      'a file',
      (() => {
        const form = new FormData()
        form.set('logout_token', new Blob(['token']), 'token.txt')
        return form
      })(),
    ],
    ['text over 64 KiB', `logout_token=token&x=${'x'.repeat(LONGEST_REQUEST)}`],
    ['a Buffer over 64 KiB', Buffer.from(`logout_token=token&x=${'x'.repeat(LONGEST_REQUEST)}`)],
    ['a parsed token over 64 KiB', { logout_token: 'x'.repeat(LONGEST_REQUEST + 1) }],
  ])('with %s is refused', async (_, body) => {
    await badRequest(tokenOf({ method: 'POST', url: '/logout', body }))
  })

  test.each([
    [{ 'content-type': FORM }],
    [{ 'Content-Type': `${FORM}; charset=UTF-8` }],
    [{ 'CONTENT-TYPE': FORM.toUpperCase() }],
    [{ 'content-type': [FORM] }],
    [new Headers({ 'content-type': FORM })],
    [undefined],
  ])('with headers %o is a form', async (headers) => {
    expect(await tokenOf({ method: 'POST', url: '/', headers, body: { logout_token: 'token' } })).toBe(
      'token',
    )
  })

  test.each([
    [{}],
    [{ 'content-type': 'application/json' }],
    [{ 'content-type': [FORM, 'application/json'] }],
    [{ 'content-type': undefined }],
    [new Headers()],
    [new Headers({ 'content-type': `text/plain, ${FORM}` })],
  ])('with headers %o is none', async (headers) => {
    const outcome = tokenOf({ method: 'POST', url: '/', headers, body: { logout_token: 'token' } })
    expect((await badRequest(outcome)).message).toContain('content type')
  })
})

describe('the query', () => {
  test.each([
    ['https://rp.example/logout?sid=a'],
    ['/logout?sid=a'],
    ['/?sid=a'],
    ['?sid=a'],
    ['logout?sid=a#sid=b'],
    ['//?sid=a&x=%'],
    ['https://rp.example:99999/?sid=a'],
  ])('of %s is read', (url) => {
    expect(receive({ method: 'GET', url }).readQuery().getAll('sid')).toEqual(['a'])
  })

  test.each([[''], ['/'], ['*'], ['rp.example:443'], ['/logout#?sid=a'], ['/%00']])(
    'of %s is empty',
    (url) => {
      expect(receive({ method: 'GET', url }).readQuery().getAll('sid')).toEqual([])
    },
  )

  test('of a URL over 64 KiB is refused', async () => {
    const { readQuery } = receive({ method: 'GET', url: `/?sid=${'a'.repeat(LONGEST_REQUEST)}` })
    expect(() => readQuery()).toThrow('too long')
  })
})

test.each([
  [undefined],
  [null],
  ['GET /logout'],
  [{}],
  [{ url: '/' }],
  [{ method: 'GET' }],
  [{ method: 'GET', url: new URL('https://rp.example/logout') }],
])('%o is no request', (request) => {
  expect(() => receive(request as never)).toThrow(ConfigurationError)
})
