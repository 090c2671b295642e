import { createLocalJWKSet, type JWTVerifyGetKey } from 'jose'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { ConfigurationError } from '../../src/errors.ts'
import { parseLogoutCallback } from '../../src/logout/parse.ts'
import { parse, refusal, status } from './outcome.ts'
import { CLIENT_ID, ISSUER, NOW, post, type SigningKey, sign, signingKey } from './provider.ts'

let rsa: SigningKey
let ec: SigningKey
let keys: JWTVerifyGetKey

beforeAll(async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: NOW })
  rsa = await signingKey('rsa')
  ec = await signingKey('ec', 'ES256')
  keys = createLocalJWKSet({ keys: [rsa.jwk, ec.jwk] })
})
afterAll(() => {
  vi.useRealTimers()
})

describe('the method tells the channel', () => {
  test.each([
    ['GET', 200],
    ['get', 200],
    ['POST', 200],
    ['HEAD', 405],
    ['PUT', 405],
    ['DELETE', 405],
    ['OPTIONS', 405],
    ['', 405],
    ['GET\r\n', 405],
  ])('%j: %i', async (method, expected) => {
    const request = { method, url: '/logout?sid=s', body: { logout_token: await sign(rsa) } }
    expect(await status(parse(request, { jwks: keys }))).toBe(expected)
  })

  test('a token in the query is none', async () => {
    const url = `https://rp.example/logout?${new URLSearchParams({ logout_token: await sign(rsa) })}`
    expect(await parse(new Request(url), { jwks: keys })).toEqual({ kind: 'front-channel' })
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    const request = new Request(url, { method: 'POST', headers: form, body: 'sid=s' })
    expect((await refusal(parse(request, { jwks: keys }))).message).toBe('logout_token is missing')
  })
})

describe('options', () => {
  const good = { issuer: ISSUER, clientId: CLIENT_ID }

  test.each([
    ['options', undefined],
    ['options', null],
    ['options', ISSUER],
    ['issuer', { clientId: CLIENT_ID }],
    ['issuer', { ...good, issuer: 'http://op.example' }],
    ['clientId', { issuer: ISSUER }],
    ['clientId', { ...good, clientId: ' ' }],
    ['clientId', { ...good, clientId: 7 }],
    ...['RS256', [], ['none'], ['HS256'], ['RS256', 'HS512'], ['rs256'], [undefined], [7]].map(
      (algorithms) => ['algorithms', { ...good, algorithms }],
    ),
    ...[
      'https://op.example/keys',
      new URL('http://op.example/keys'),
      new URL('data:,{}'),
      {},
      { keys: 7 },
      7,
      null,
    ].map((jwks) => ['jwks', { ...good, jwks }]),
    ['algoritms', { ...good, algoritms: ['RS256'] }],
  ] as [string, unknown][])('%s is named when it is wrong (%#)', async (name, options) => {
    const outcome = parseLogoutCallback(new Request('https://rp.example/'), options as never)
    const error = await outcome.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ConfigurationError)
    expect((error as Error).message).toContain(name)
  })

  test('undefined members are accepted, and each algorithm with its key', async () => {
    const request = () => new Request('https://rp.example/')
    await parseLogoutCallback(request(), { ...good, jwks: undefined, algorithms: undefined })
    const edwards = await signingKey('ed', 'Ed25519')
    const token = await sign(edwards)
    const options = {
      jwks: { keys: [edwards.jwk] },
      algorithms: ['EdDSA', 'Ed25519', 'PS256', 'ES512', 'ML-DSA-44'],
    }
    expect(await status(parse(post({ logout_token: token }), options))).toBe(200)
  })

  test('changed after the call, they change nothing', async () => {
    const algorithms = ['RS256']
    const outcome = parse(post({ logout_token: await sign(ec) }), { jwks: keys, algorithms })
    algorithms.push('ES256')
    expect(await status(outcome)).toBe(400)
  })

  test('a missing request is a programming error', async () => {
    await expect(parse(undefined as never)).rejects.toThrow(ConfigurationError)
  })
})
