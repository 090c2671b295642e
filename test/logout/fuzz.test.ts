import { Readable } from 'node:stream'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { createLocalJWKSet, type JWTVerifyGetKey } from 'jose'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { LogoutCallback } from '../../src/logout/parse.ts'
import { anyRequest, type MakeRequest } from '../support/any-request.ts'
import { length } from '../support/length.ts'
import { brokenParse, parse, shown } from './outcome.ts'
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

const RUNS = length({ short: 1_000, long: 300_000 })
const V2 = 'https://login.microsoftonline.com/{tenantid}/v2.0'
const TENANT = 'https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0'
const now = NOW.getTime() / 1000

let keys: JWTVerifyGetKey
/** Tokens to mutate, good ones and others, and what the good ones say. */
const tokens: string[] = []
const genuine: LogoutCallback[] = []

beforeAll(async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: NOW })
  const rsa = await signingKey('rsa')
  const ec = await signingKey('ec', 'ES256')
  keys = createLocalJWKSet({ keys: [rsa.jwk, ec.jwk] })
  const made: [SigningKey, Record<string, unknown>, Record<string, unknown>?][] = [
    [rsa, {}],
    [rsa, { sid: undefined, jti: 'token-2' }],
    [rsa, { sub: undefined, jti: 'token-3' }, { kid: undefined }],
    [rsa, { iss: TENANT, jti: 'token-4' }, { typ: undefined }],
    [rsa, { exp: now - 3600 }],
    [rsa, { aud: 'other' }],
    [rsa, { nonce: 'n' }],
    [rsa, { events: { other: {} } }],
    [rsa, { sid: 7 }],
    [rsa, {}, { typ: 5 }],
    [ec, {}],
  ]
  for (const [key, changes, header] of made) {
    const token = await sign(key, claims(changes), header)
    tokens.push(token)
    for (const issuer of [ISSUER, V2]) {
      const callback = await parse(post({ logout_token: token }), { issuer, jwks: keys }).catch(
        () => undefined,
      )
      if (callback !== undefined) genuine.push(callback)
    }
  }
  expect(genuine).toHaveLength(4)
})
afterAll(() => {
  vi.useRealTimers()
})

const anyToken = fc.oneof(
  { weight: 4, arbitrary: fc.nat().map((i) => pick(i)) },
  { weight: 4, arbitrary: fc.tuple(fc.nat(), fc.nat(), fc.nat(), fc.string()).map((it) => mutated(...it)) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.json(), fc.json(), fc.string())
      .map(([header, payload, signature]) =>
        [
          Buffer.from(header).toString('base64url'),
          Buffer.from(payload).toString('base64url'),
          signature,
        ].join('.'),
      ),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(anyHeader(), anyClaims(), fc.nat())
      .map(([header, payload, i]) =>
        [encodeJson(header), encodeJson(payload), pick(i).split('.')[2]].join('.'),
      ),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
)

function pick(i: number): string {
  return tokens[i % tokens.length] ?? ''
}

function mutated(i: number, j: number, at: number, text: string): string {
  const token = pick(i)
  const place = at % (token.length + 1)
  const [header, payload, signature] = token.split('.')
  const other = pick(j).split('.')
  const mutations = [
    () => token.slice(0, place) + text + token.slice(place),
    () => token.slice(0, place) + token.slice(place + 1 + (j % 5)),
    () => token.slice(0, place) + String.fromCharCode(33 + (j % 94)) + token.slice(place + 1),
    () => [other[0], payload, signature].join('.'),
    () => [header, other[1], signature].join('.'),
    () => [header, payload, other[2]].join('.'),
    () => `${token}.${text}`,
    () => ` ${token}\n`,
  ]
  return mutations[(i + j) % mutations.length]?.() ?? token
}

function anyHeader() {
  return fc
    .record(
      {
        alg: fc.oneof(
          fc.constantFrom('RS256', 'none', 'HS256', 'ES256', 'RS512', '__proto__'),
          fc.anything(),
        ),
        kid: fc.oneof(fc.constantFrom('rsa', 'ec'), fc.anything()),
        typ: fc.anything(),
        crit: fc.anything(),
        b64: fc.anything(),
      },
      { requiredKeys: [] },
    )
    .filter(isJson)
}

function anyClaims() {
  const known = fc.constantFrom(ISSUER, TENANT, CLIENT_ID, EVENT, now, now + 60)
  const any = fc.oneof(known, fc.anything())
  const members = ['iss', 'sub', 'aud', 'sid', 'jti', 'iat', 'exp', 'nbf', 'events', 'nonce', '__proto__']
  return fc.dictionary(fc.constantFrom(...members), any).filter(isJson)
}

function isJson(value: unknown): boolean {
  try {
    JSON.stringify(value)
    return true
  } catch {
    return false
  }
}

const anyName = fc.oneof(
  fc.constantFrom('logout_token', 'sid', 'iss', 'state', '__proto__', 'getAll'),
  fc.string(),
)
const anyValue = fc.oneof(
  anyToken,
  fc.constantFrom(ISSUER, TENANT, V2, 'session-1', ''),
  fc.string({ unit: 'binary' }),
)
const anySession = fc
  .tuple(fc.constantFrom(ISSUER, TENANT, V2, 'https://other.example'), fc.string())
  .map(([iss, sid]): [string, string][] => [
    ['iss', iss],
    ['sid', sid],
  ])
const anyParameters = fc.oneof(anySession, fc.array(fc.tuple(anyName, anyValue), { maxLength: 4 }))
const onlyToken = anyToken.map((token): [string, string][] => [['logout_token', token]])
const anyForm = fc
  .oneof({ weight: 3, arbitrary: onlyToken }, { weight: 1, arbitrary: anyParameters })
  .map((it) => new URLSearchParams(it).toString())
const anyUrl = fc.oneof(
  anyParameters.map((it) => `/logout?${new URLSearchParams(it)}`),
  fc.webUrl({ withQueryParameters: true, withFragments: true }),
  fc.string({ unit: 'binary' }),
  fc.nat(100_000).map((length) => `/?sid=${'x'.repeat(length)}`),
)
const anyMethod = fc.oneof(
  { weight: 6, arbitrary: fc.constant('POST') },
  { weight: 3, arbitrary: fc.constant('GET') },
  { weight: 1, arbitrary: fc.oneof(fc.constantFrom('HEAD', 'PUT', 'OPTIONS', 'TRACE'), fc.string()) },
)
const anyContentType = fc.oneof(
  { weight: 6, arbitrary: fc.constant('application/x-www-form-urlencoded') },
  {
    weight: 1,
    arbitrary: fc.constantFrom('application/x-www-form-urlencoded; charset=utf-8', 'text/plain', ''),
  },
  { weight: 1, arbitrary: fc.string() },
)
const anyHeaders = fc.oneof(
  { weight: 6, arbitrary: anyContentType.map((type) => ({ 'content-type': type })) },
  { weight: 1, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.dictionary(fc.string(), fc.anything()) },
  { weight: 1, arbitrary: fc.record({ 'Content-Type': fc.anything() }) },
)
const anyChunks = fc.oneof(
  anyForm.map((form) => [Buffer.from(form)]),
  anyForm.map((form) => [form.slice(0, 10), form.slice(10)].map((it) => Buffer.from(it))),
  fc.array(fc.uint8Array({ maxLength: 100 })),
  fc.nat(100).map((count) => Array.from({ length: count }, () => Buffer.alloc(1024, 'x'))),
)
const anyBody = fc.oneof(
  anyForm,
  anyForm.map((form) => Buffer.from(form)),
  anyForm.map((form) => new URLSearchParams(form)),
  onlyToken.map((it) => Object.fromEntries(it)),
  fc.record({ logout_token: fc.oneof(anyToken, fc.array(anyToken), fc.anything()) }),
  fc.anything({ withNullPrototype: true, withBigInt: true, withMap: true, withTypedArray: true }),
  anyChunks.map((chunks) => Readable.toWeb(Readable.from(chunks))),
)

const anyObject = anyRequest({
  method: anyMethod,
  url: anyUrl,
  headers: anyHeaders,
  body: anyBody,
  chunks: anyChunks,
})
const web = fc
  .record({ post: fc.boolean(), parameters: anyParameters, type: anyContentType, form: anyForm })
  .map(
    ({ post, parameters, type, form }): MakeRequest =>
      () => {
        const url = `https://rp.example/?${new URLSearchParams(parameters)}`
        return post
          ? new Request(url, { method: 'POST', body: form, headers: headersOf(type) })
          : new Request(url)
      },
  )

function headersOf(type: string): Headers {
  try {
    return new Headers({ 'content-type': type })
  } catch {
    return new Headers()
  }
}

/** A callback that nobody has signed, or of another issuer, was let through. */
class Forged extends Error {}

type Kind = LogoutCallback['kind'] | 'refused'

function judge(outcome: LogoutCallback | Error, issuer: string): Kind {
  if (outcome instanceof Error) {
    const typed = { code: 'ERR_LOGOUT_CALLBACK', error: 'invalid_request', keysUnavailable: false }
    expect(outcome).toMatchObject(typed)
    expect([400, 405]).toContain((outcome as { status?: number }).status)
    expect(outcome.message.length).toBeLessThan(100)
    const text = shown(outcome)
    for (const token of tokens) expect(text).not.toContain(token.slice(0, 20))
    return 'refused'
  }
  const ours = outcome.issuer === undefined || outcome.issuer === issuer
  if ((outcome.kind === 'foreign-issuer') === ours) throw new Forged()
  if (outcome.kind === 'back-channel' && !genuine.some((it) => isDeepStrictEqual(it, outcome)))
    throw new Forged()
  return outcome.kind
}

async function fuzz(runs: number, parseIt: typeof parse): Promise<Map<Kind, number>> {
  const counts = new Map<Kind, number>()
  const property = fc.asyncProperty(
    fc.oneof({ weight: 2, arbitrary: anyObject }, web),
    fc.boolean(),
    async (make, template) => {
      const options = { issuer: template ? V2 : ISSUER, jwks: keys }
      const outcome = await parseIt(make(), options).catch((error: unknown) => error as Error)
      const kind = judge(outcome, template ? TENANT : ISSUER)
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
    },
  )
  await fc.assert(property, { numRuns: runs })
  return counts
}

test(
  `whatever arrives, the outcome is typed: ${RUNS} requests (P11)`,
  async () => {
    const counts = await fuzz(RUNS, parse)
    for (const kind of ['front-channel', 'back-channel', 'foreign-issuer', 'refused'] as const) {
      expect(counts.get(kind), kind).toBeGreaterThan(0)
    }
  },
  60_000 + 5 * RUNS,
)

test('what is not typed, or forged, would be found', async () => {
  const untyped = await brokenParse('callback: errors untyped')
  await expect(fuzz(1000, untyped)).rejects.toThrow('Property failed')
  const unsigned = await brokenParse('callback: not verified, whatever it is')
  await expect(fuzz(1000, unsigned)).rejects.toHaveProperty('cause', expect.any(Forged))
  const foreign = await brokenParse('callback: any issuer in the query')
  await expect(fuzz(1000, foreign)).rejects.toHaveProperty('cause', expect.any(Forged))
})
