import { describe, expect, test } from 'vitest'
import { ConfigurationError } from '../../src/errors.ts'
import { parsePostLogout } from '../../src/logout/parse.ts'
import { createLogoutUrl } from '../../src/logout/url.ts'

describe('the state is returned', () => {
  test.each([
    ['conformance suite: foreign state', '?state=foreign', 'foreign'],
    ['beside other parameters', '?a=b&state=s&logout_hint=x', 's'],
    ['that is a URL, as text and nothing more', '?state=https%3A%2F%2Fevil.example', 'https://evil.example'],
  ])('%s', (_, search, state) => {
    expect(parsePostLogout(new Request(`https://rp.example/${search}`))).toEqual({ state })
    expect(parsePostLogout({ method: 'GET', url: `/signed-out${search}` })).toEqual({ state })
  })
})

describe('there is none, and nothing breaks', () => {
  test.each([
    ['conformance suite: no state', ''],
    ['empty', '?state='],
    ['twice', '?state=a&state=b'],
    ['over-long', `?state=${'x'.repeat(1025)}`],
    ['with a line break', '?state=a%0d%0aLocation:%20https://evil.example'],
    ['in a URL of 64 KiB', `?state=a&x=${'x'.repeat(64 * 1024)}`],
    ['in the fragment', '#state=a'],
  ])('%s', (_, search) => {
    expect(parsePostLogout({ method: 'GET', url: `/signed-out${search}` })).toEqual({})
  })

  test('whatever the method', () => {
    expect(parsePostLogout({ method: 'PURGE', url: '*' })).toEqual({})
  })
})

test('every state that createLogoutUrl sends comes back', () => {
  for (const state of ['s', 'x'.repeat(1024), '{"a":"ü +&=#%"}', '😀']) {
    const url = createLogoutUrl({
      endSessionEndpoint: 'https://op.example/logout',
      clientId: 'client',
      postLogoutRedirectUri: 'https://rp.example/signed-out',
      state,
    })
    expect(parsePostLogout({ method: 'GET', url: url.href })).toEqual({ state })
  }
})

test('what is no request is a programming error', () => {
  expect(() => parsePostLogout('https://rp.example/' as never)).toThrow(ConfigurationError)
})
