import { describe, expect, test } from 'vitest'
import { ConfigurationError } from '../../src/errors.ts'
import { createLogoutUrl } from '../../src/logout/url.ts'

const good = {
  endSessionEndpoint: 'https://op.example/logout',
  clientId: 'client',
  postLogoutRedirectUri: 'https://rp.example/signed-out',
}
const ID_TOKEN = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzIn0.c2lnbmF0dXJl'

function query(url: URL): Record<string, string> {
  return Object.fromEntries(url.searchParams)
}

describe('a logout URL', () => {
  test('has the parameters of RP-Initiated Logout 1.0', () => {
    const url = createLogoutUrl({ ...good, logoutHint: 'hint', idTokenHint: ID_TOKEN, state: 'a b&c=d' })
    expect(url.origin + url.pathname).toBe('https://op.example/logout')
    expect(query(url)).toEqual({
      client_id: 'client',
      post_logout_redirect_uri: 'https://rp.example/signed-out',
      logout_hint: 'hint',
      id_token_hint: ID_TOKEN,
      state: 'a b&c=d',
    })
  })

  test('has no parameter that is not given', () => {
    const url = createLogoutUrl({ ...good, logoutHint: undefined, idTokenHint: undefined, state: undefined })
    expect(Object.keys(query(url))).toEqual(['client_id', 'post_logout_redirect_uri'])
  })

  test("keeps the endpoint's own query, and sends no parameter twice", () => {
    const endSessionEndpoint = 'https://tenant.b2clogin.com/logout?p=B2C_1_signin&client_id=other'
    const url = createLogoutUrl({ ...good, endSessionEndpoint })
    expect(url.searchParams.getAll('p')).toEqual(['B2C_1_signin'])
    expect(url.searchParams.getAll('client_id')).toEqual(['client'])
  })

  test.each([
    'https://rp.example',
    'https://RP.example/Signed-Out/',
    'https://rp.example/a?b=c%20d',
    'http://localhost:3000/',
    'http://app.localhost/',
    'http://127.0.0.1:3000/signed-out',
    'http://[::1]/',
  ])('passes on %s exactly as it was registered', (postLogoutRedirectUri) => {
    const url = createLogoutUrl({ ...good, postLogoutRedirectUri })
    expect(url.searchParams.get('post_logout_redirect_uri')).toBe(postLogoutRedirectUri)
  })

  test.each(['a.b.c', 'a.b.', 'a.b.c.d.e', 'a..c.d.e'])('takes %s for a JWT', (idTokenHint) => {
    expect(createLogoutUrl({ ...good, idTokenHint }).searchParams.get('id_token_hint')).toBe(idTokenHint)
  })
})

describe('what would make an invalid request is refused by name', () => {
  const urls = [
    undefined,
    null,
    '',
    7,
    'op.example/logout',
    '/logout',
    'http://op.example/logout',
    'http://localhost.evil.example/',
    'http://127.0.0.1.evil.example/',
    'http://evil.example/localhost',
    'javascript:alert(1)',
    'custom:logout',
    'https://op.example/logout#x',
    'https://op.example/logout#',
    'https://user@op.example/logout',
    'https://user:secret@op.example/logout',
    ' https://op.example/logout',
    'https://op.example/log out',
    'https://op.example/logout\n',
    'https:\\\\op.example\\logout',
    'https://',
    new URL('https://op.example/logout'),
  ]
  test.each([
    ...urls.map((value) => ['endSessionEndpoint', value]),
    ...urls.map((value) => ['postLogoutRedirectUri', value]),
    ...[undefined, '', 7, null, 'a\nb', 'x'.repeat(1025)].map((value) => ['clientId', value]),
    ...['', 7, null, 'a\nb', 'x'.repeat(1025), '\ud800'].map((value) => ['state', value]),
    ...['', 7, null, 'a\nb', 'x'.repeat(1025)].map((value) => ['logoutHint', value]),
    ...['', 7, null, 'token', 'a.b', 'a.b.c.d', 'a b.c.d', '.b.c', {}].map((value) => ['idTokenHint', value]),
    ['idTokenHnt', ID_TOKEN],
  ] as [string, unknown][])('%s (%j)', (name, value) => {
    const make = () => createLogoutUrl({ ...good, [name]: value } as never)
    expect(make).toThrow(ConfigurationError)
    expect(make).toThrow(name)
  })

  test.each([undefined, null, 'https://op.example/logout'])('no object at all (%j)', (parameters) => {
    expect(() => createLogoutUrl(parameters as never)).toThrow(ConfigurationError)
  })

  test('without quoting it (P9)', () => {
    expect(() => createLogoutUrl({ ...good, idTokenHint: 'secret' })).not.toThrow('secret')
    expect(() => createLogoutUrl({ ...good, logoutHint: 'secret\n' })).not.toThrow('secret')
  })
})
