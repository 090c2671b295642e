import { EncryptJWT, SignJWT, UnsecuredJWT } from 'jose'
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { ConfigurationError } from '../../src/errors.ts'
import type { BackChannelCallback } from '../../src/logout/back-channel.ts'
import { resolveLogoutOptions } from '../../src/logout/parse.ts'
import type { MutantName } from '../support/mutants.ts'
import { brokenParse, type Options, parse, refusal, shown, status } from './outcome.ts'
import {
  CLIENT_ID,
  claims,
  EVENT,
  encodeJson,
  ISSUER,
  NOW,
  post,
  type SigningKey,
  sign,
  signingKey,
} from './provider.ts'

const now = NOW.getTime() / 1000
let rsa: SigningKey
let ec: SigningKey
let stranger: SigningKey
let jwks: { keys: SigningKey['jwk'][] }

beforeAll(async () => {
  rsa = await signingKey('rsa')
  ec = await signingKey('ec', 'ES256')
  stranger = await signingKey('rsa')
  jwks = { keys: [rsa.jwk, ec.jwk] }
})
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: NOW })
})
afterEach(() => {
  vi.useRealTimers()
})

type Case = readonly [name: string, request: () => Promise<Request>, options?: Options]
type Refusal = readonly [
  name: string,
  mutation: MutantName,
  request: () => Promise<Request>,
  options?: Options,
]

/** A request whose token has these claims and this header. */
function token(changes: Record<string, unknown> = {}, header: Record<string, unknown> = {}) {
  return async () => post({ logout_token: await sign(rsa, claims(changes), header) })
}

const accepted: Case[] = [
  [
    'conformance suite: good token with an unknown claim and an unknown body parameter',
    async () =>
      post({
        logout_token: await sign(rsa, claims({ ignored_claim: 'x' }), { typ: undefined }),
        ignored_parameter: 'The POST body MAY contain other values',
      }),
  ],
  ['typ logout+jwt', token()],
  ['typ application/logout+jwt, in any case', token({}, { typ: 'Application/Logout+JWT' })],
  ['no typ', token({}, { typ: undefined })],
  ['typ JWT: Keycloak up to 24, Red Hat SSO 7.6, authentik up to 2025.10', token({}, { typ: 'JWT' })],
  ['typ JWT and no exp: Ory Hydra, LemonLDAP::NG', token({ exp: undefined }, { typ: 'JWT' })],
  ['no exp: IdentityServer 4', token({ exp: undefined })],
  ['no exp, ten minutes old', token({ exp: undefined, iat: now - 600 })],
  ['sub only', token({ sid: undefined })],
  ['sid only', token({ sub: undefined })],
  ['client among several audiences', token({ aud: ['other', CLIENT_ID] })],
  ['event beside another', token({ events: { 'http://other.example': {}, [EVENT]: { any: 1 } } })],
  ['issued a minute in the future', token({ iat: now + 60 })],
  ['expired for less than a minute', token({ iat: now - 120, exp: now - 59 })],
  ['ten minutes old', token({ iat: now - 600, exp: now + 3600 })],
  ['without kid', token({}, { kid: undefined })],
  [
    'ES256 where it is registered',
    async () => post({ logout_token: await sign(ec) }),
    { algorithms: ['RS256', 'ES256'] },
  ],
  [
    'tenant of a template',
    token({ iss: 'https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0' }),
    { issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0' },
  ],
]

const refused: Refusal[] = [
  // The conformance suite's.
  [
    'conformance suite: alg none',
    'callback: not verified',
    async () => post({ logout_token: new UnsecuredJWT(claims()).encode() }),
  ],
  [
    'conformance suite: ES256 where RS256 is expected, though the key is in the JWKS',
    'callback: any algorithm',
    async () => post({ logout_token: await sign(ec) }),
  ],
  ['conformance suite: wrong iss', 'callback: any issuer', token({ iss: 'https://other.example' })],
  ['conformance suite: wrong aud', 'callback: any audience', token({ aud: 'other' })],
  [
    'conformance suite: wrong event',
    'callback: any event',
    token({ events: { 'http://schemas.openid.net/event/foobar': {} } }),
  ],
  ['conformance suite: no event', 'callback: any event', token({ events: undefined })],
  ['conformance suite: with nonce', 'callback: with a nonce', token({ nonce: 'nonce' })],
  // Beyond the suite.
  ['no iss', 'callback: of no issuer', token({ iss: undefined })],
  ['iss is a prefix', 'callback: any issuer', token({ iss: `${ISSUER}.evil.example` })],
  ['iss with a slash more', 'callback: any issuer', token({ iss: `${ISSUER}/` })],
  [
    'no tenant of the template',
    'callback: any issuer',
    token({ iss: 'https://login.microsoftonline.com/common/v2.0' }),
    { issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0' },
  ],
  ['no aud', 'callback: any audience', token({ aud: undefined })],
  ['aud is an object', 'callback: any audience', token({ aud: { [CLIENT_ID]: CLIENT_ID } })],
  [
    'aud contains the client id as text',
    'callback: any audience',
    token({ aud: `${CLIENT_ID} ${CLIENT_ID}` }),
  ],
  ['events is an array', 'callback: any event', token({ events: [EVENT] })],
  ['events is text', 'callback: any event', token({ events: EVENT })],
  ['the event is null', 'callback: any event', token({ events: { [EVENT]: null } })],
  ['the event is an array', 'callback: any event', token({ events: { [EVENT]: [] } })],
  ['nonce is null', 'callback: with a nonce', token({ nonce: null })],
  ['typ at+jwt: Duende IdentityServer 6.2', 'callback: any type', token({}, { typ: 'at+jwt' })],
  ['typ is a number', 'callback: any type', token({}, { typ: 5 })],
  ['no jti', 'callback: any jti', token({ jti: undefined })],
  ['empty jti', 'callback: any jti', token({ jti: '' })],
  ['jti is a number', 'callback: any jti', token({ jti: 5 })],
  ['over-long jti', 'callback: any jti', token({ jti: 'x'.repeat(1025) })],
  ['neither sid nor sub', 'callback: of nobody', token({ sid: undefined, sub: undefined })],
  ['sid is a number', 'callback: any sid', token({ sid: 5 })],
  ['sid is null beside a sub', 'callback: any sid', token({ sid: null })],
  ['over-long sid', 'callback: any sid', token({ sid: 'x'.repeat(1025) })],
  ['control character in sid', 'callback: any sid', token({ sid: 'a\u0000b' })],
  ['lone surrogate in sid', 'callback: any sid', token({ sid: '\ud800' })],
  ['sub is an object', 'callback: any sub', token({ sub: {} })],
  ['over-long sub', 'callback: any sub', token({ sub: 'x'.repeat(1025) })],
  ['no exp, more than ten minutes old', 'callback: any age', token({ exp: undefined, iat: now - 601 })],
  ['exp is null', 'callback: nothing but the signature verified', token({ exp: null })],
  ['exp is text', 'callback: nothing but the signature verified', token({ exp: String(now + 60) })],
  [
    'exp is before the tolerance',
    'callback: nothing but the signature verified',
    token({ iat: now - 200, exp: now - 60 }),
  ],
  ['iat is text', 'callback: nothing but the signature verified', token({ iat: String(now) })],
  ['issued more than a minute in the future', 'callback: any age', token({ iat: now + 61, exp: now + 120 })],
  [
    'more than ten minutes old, though not expired',
    'callback: any age',
    token({ iat: now - 601, exp: now + 3600 }),
  ],
  ['not yet valid', 'callback: nothing but the signature verified', token({ nbf: now + 61 })],
  // Signatures and shapes.
  [
    'signed by a stranger',
    'callback: not verified',
    async () => post({ logout_token: await sign(stranger) }),
  ],
  [
    'signed by a stranger who brings the key along',
    'callback: not verified',
    async () =>
      post({
        logout_token: await sign(stranger, claims(), {
          jwk: stranger.jwk,
          jku: 'https://evil.example/keys',
        }),
      }),
  ],
  ['unknown kid', 'callback: not verified', token({}, { kid: 'unknown' })],
  [
    'HMAC with a public key as secret',
    'callback: not verified',
    async () =>
      post({
        logout_token: await new SignJWT(claims())
          .setProtectedHeader({ alg: 'HS256', kid: 'rsa' })
          .sign(new TextEncoder().encode(JSON.stringify(rsa.jwk).padEnd(32))),
      }),
  ],
  [
    'payload exchanged',
    'callback: not verified',
    async () => {
      const [header, , signature] = (await sign(rsa)).split('.')
      return post({ logout_token: [header, encodeJson(claims({ sid: 'session-2' })), signature].join('.') })
    },
  ],
  [
    'no signature',
    'callback: not verified',
    async () => post({ logout_token: `${(await sign(rsa)).split('.').slice(0, 2).join('.')}.` }),
  ],
  [
    'critical header parameter',
    'callback: not verified',
    async () => {
      const header = { alg: 'RS256', kid: 'rsa', crit: ['unheard-of'], 'unheard-of': 1 }
      return post({ logout_token: [encodeJson(header), encodeJson(claims()), 'AAAA'].join('.') })
    },
  ],
  // The request around it.
  [
    'two logout_tokens',
    'request: parameters twice',
    async () => {
      const good = await sign(rsa)
      return post([
        ['logout_token', good],
        ['logout_token', good],
      ])
    },
  ],
  [
    'a body of 1 MB',
    'body: of any size',
    async () => post({ logout_token: await sign(rsa), padding: 'x'.repeat(1024 * 1024) }),
  ],
  ...[
    'application/json',
    'text/plain',
    'multipart/form-data; boundary=x',
    'application/x-www-form-urlencodedx',
  ].map(
    (type): Refusal => [
      `content type ${type}`,
      'body: any type',
      async () => new Request(post({ logout_token: await sign(rsa) }), { headers: { 'content-type': type } }),
    ],
  ),
  [
    'no content type',
    'body: any type',
    async () => {
      const request = post({ logout_token: await sign(rsa) })
      request.headers.delete('content-type')
      return request
    },
  ],
]

describe('verified: 200', () => {
  for (const [name, request, options = {}] of accepted) {
    test(name, async () => {
      const callback = await parse(await request(), { jwks, ...options })
      expect(callback.kind).toBe('back-channel')
    })
  }
})

describe('refused: 400, and with the check removed 200', () => {
  for (const [name, mutation, request, options = {}] of refused) {
    test(name, async () => {
      const error = await refusal(parse(await request(), { jwks, ...options }))
      expect(error).toMatchObject({ status: 400, keysUnavailable: false })
      expect(error).not.toHaveProperty('cause')
      const broken = await brokenParse(mutation)
      expect(await status(broken(await request(), { jwks, ...options }))).toBe(200)
    })
  }
})

describe('refused: 400', () => {
  test.each([
    ['no logout_token', {}],
    ['empty logout_token', { logout_token: '' }],
    ['no JWT', { logout_token: 'no JWT' }],
    ['two parts', { logout_token: 'a.b' }],
    ['an encrypted JWT', { logout_token: 'eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..a.b.c' }],
    ['control characters', { logout_token: 'a.\r\nb.c' }],
  ])('%s', async (_, body) => {
    expect(await refusal(parse(post(body), { jwks }))).toMatchObject({ status: 400, keysUnavailable: false })
  })

  // Twice refused, by jose's maxTokenAge and by a check of ours, so no one broken line lets it pass.
  test('no iat', async () => {
    expect((await refusal(parse(await token({ iat: undefined })(), { jwks }))).message).toContain('iat')
  })

  test('claims that are no object', async () => {
    for (const payload of ['null', '[]', '"text"', '{', '']) {
      const header = encodeJson({ alg: 'RS256', kid: 'rsa' })
      const signingInput = `${header}.${Buffer.from(payload).toString('base64url')}`
      const signature = await crypto.subtle.sign(
        'RSASSA-PKCS1-v1_5',
        rsa.privateKey,
        Buffer.from(signingInput),
      )
      const logoutToken = `${signingInput}.${Buffer.from(signature).toString('base64url')}`
      expect((await refusal(parse(post({ logout_token: logoutToken }), { jwks }))).status).toBe(400)
    }
  })
})

describe('what is refused says which rule', () => {
  test.each([
    ['typ', 'must be logout+jwt or JWT, or left out', {}, { typ: 'at+jwt' }],
    ['iss', 'must be the issuer of this handler', { iss: 'https://other.example' }, {}],
    ['aud', 'must name the client id', { aud: 'other' }, {}],
    ['events', 'must hold the event of a back-channel logout', { events: undefined }, {}],
    ['nonce', 'must be left out', { nonce: 'nonce' }, {}],
    ['jti', 'must be printable text', { jti: undefined }, {}],
    ['iat', 'must be a time of the last ten minutes', { iat: now - 601 }, {}],
    ['iat', 'must be a time of the last ten minutes', { iat: undefined }, {}],
    ['exp', 'must be a time to come, or left out', { iat: now - 200, exp: now - 60 }, {}],
    ['nbf', 'must be a time that has come', { nbf: now + 61 }, {}],
  ])('%s %s', async (claim, rule, changes, header) => {
    const error = await refusal(parse(await token(changes, header)(), { jwks }))
    expect(error.message).toBe(`the ${claim} of the logout_token ${rule}`)
  })

  test('neither sid nor sub', async () => {
    const error = await refusal(parse(await token({ sid: undefined, sub: undefined })(), { jwks }))
    expect(error.message).toBe('the sid or sub of the logout_token must be there')
  })

  test('encrypted', async () => {
    const logoutToken = await new EncryptJWT(claims())
      .setProtectedHeader({ alg: 'dir', enc: 'A128GCM' })
      .encrypt(new Uint8Array(16))
    const error = await refusal(parse(post({ logout_token: logoutToken }), { jwks }))
    expect(error.message).toBe('the logout_token is encrypted: it must be signed only')
  })

  test('HS256, also where it is the only algorithm that the provider has', async () => {
    const key = new TextEncoder().encode('the client secret'.padEnd(32, '.'))
    const logoutToken = await new SignJWT(claims()).setProtectedHeader({ alg: 'HS256' }).sign(key)
    const error = await refusal(parse(post({ logout_token: logoutToken }), { jwks }))
    expect(error.message).toBe('the alg of the logout_token is not one of the option algorithms')
    const options = { issuer: ISSUER, clientId: CLIENT_ID, jwks, algorithms: ['HS256'] }
    expect(() => resolveLogoutOptions(options)).toThrow(ConfigurationError)
  })

  test('in what an OAuth error_description may hold', async () => {
    for (const [, , request, options = {}] of refused) {
      const { message } = await refusal(parse(await request(), { jwks, ...options }))
      expect(message).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/)
    }
  })
})

describe('what is returned', () => {
  test('every claim that an eviction needs', async () => {
    expect(await parse(await token()(), { jwks })).toEqual({
      kind: 'back-channel',
      issuer: ISSUER,
      sid: 'session-1',
      subject: 'subject',
      jti: 'token-1',
      issuedAt: NOW,
      expiresAt: new Date(NOW.getTime() + 180_000),
    })
  })

  test('sid and subject only where the token has them', async () => {
    expect(await parse(await token({ sid: undefined })(), { jwks })).not.toHaveProperty('sid')
    expect(await parse(await token({ sub: undefined })(), { jwks })).not.toHaveProperty('subject')
  })

  test.each([
    ['exp in two minutes', {}],
    ['exp in an hour', { exp: now + 3600 }],
    ['exp in ten minutes', { exp: now + 600 }],
    ['exp and iat with fractions', { iat: now - 0.75, exp: now + 119.25 }],
    ['iat in the future', { iat: now + 60, exp: now + 3600 }],
    ['exp beyond all dates', { exp: 1e300 }],
    ['no exp', { exp: undefined }],
  ])('expiresAt is when the same token is refused: %s', async (_, changes) => {
    const request = token(changes)
    const { expiresAt } = (await parse(await request(), { jwks })) as BackChannelCallback
    vi.setSystemTime(expiresAt.getTime() - 1)
    expect(await status(parse(await request(), { jwks }))).toBe(200)
    vi.setSystemTime(expiresAt)
    expect(await status(parse(await request(), { jwks }))).toBe(400)
  })

  test('a token without exp, whose end is not counted from iat, ends before it is refused', async () => {
    const broken = await brokenParse('callback: forgotten without exp')
    const callback = await broken(await token({ exp: undefined })(), { jwks })
    expect(callback).toMatchObject({ expiresAt: new Date(60_000) })
  })
})

describe('keys', () => {
  test('a token without kid is tried with every key that fits', async () => {
    const old = await signingKey('old')
    const two = { keys: [old.jwk, rsa.jwk] }
    expect(await status(parse(await token({}, { kid: undefined })(), { jwks: two }))).toBe(200)
    const forged = post({ logout_token: await sign(stranger, claims(), { kid: undefined }) })
    expect(await refusal(parse(forged, { jwks: two }))).toMatchObject({ status: 400, keysUnavailable: false })
    const expired = token({ exp: now - 60 }, { kid: undefined })
    expect((await refusal(parse(await expired(), { jwks: two }))).message).toContain('exp')
  })

  test('a function that finds the key', async () => {
    const seen: unknown[] = []
    const find = async (header: unknown) => {
      seen.push(header)
      return rsa.jwk
    }
    expect(await status(parse(await token()(), { jwks: find as never }))).toBe(200)
    expect(seen).toEqual([{ alg: 'RS256', kid: 'rsa', typ: 'logout+jwt' }])
  })

  test.each([
    [
      'a function that fails',
      async () => {
        throw new Error('vault is sealed')
      },
    ],
    ['a function that returns nothing', async () => undefined],
    ['a function that returns a secret', async () => new Uint8Array(32)],
    ['a key of another kind', async () => ec.jwk],
  ])('%s: not the fault of the token', async (_, find) => {
    const error = await refusal(parse(await token()(), { jwks: find as never }))
    expect(error).toMatchObject({ status: 400, keysUnavailable: true })
    expect(error.cause).toBeInstanceOf(Error)
  })
})

test('no error shows the token, its claims, or what the issuer is asked (P9)', async () => {
  const secrets = ['session-1', 'subject', 'token-1', 'surprise']
  const requests = [
    ...refused.map(([, , request]) => request),
    token({}, { crit: ['surprise'], surprise: 1 }),
    token({ exp: now - 1000, surprise: 'surprise' }),
  ]
  for (const make of requests) {
    const request = await make().catch(() => undefined)
    const body = await request?.clone().text()
    const outcome = request && (await parse(request, { jwks }).catch((error: Error) => error))
    if (!(outcome instanceof Error)) continue
    const parts = (new URLSearchParams(body).get('logout_token') ?? '')
      .split('.')
      .filter((it) => it.length > 8)
    for (const secret of [...secrets, ...parts]) expect(shown(outcome)).not.toContain(secret)
  }
  const quoting = async (_: unknown, jws: unknown) => {
    throw Object.assign(new Error(`no key for ${JSON.stringify(jws)}`), { jws })
  }
  const request = token()
  const parts = (await sign(rsa)).split('.')
  const error = await refusal(parse(await request(), { jwks: quoting as never }))
  for (const part of parts) expect(shown(error)).not.toContain(part)
  const careless = await brokenParse('callback: causes not redacted')
  const leak = await careless(await request(), { jwks: quoting as never }).catch((it: Error) => shown(it))
  for (const part of parts) expect(leak).toContain(part)
})
