import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from 'vitest'
import { brokenParse, parse, refusal, shown, status } from './outcome.ts'
import {
  type Answer,
  claims,
  json,
  KeyServer,
  LocalServer,
  NOW,
  post,
  type SigningKey,
  sign,
  signingKey,
} from './provider.ts'

const TENANT = '9188040d-6c67-4c5b-b112-36a304b66dad'

describe('keys from the discovery document', () => {
  let key: SigningKey
  let next: SigningKey
  let server: KeyServer

  beforeAll(async () => {
    key = await signingKey('key-1')
    next = await signingKey('key-2')
  })
  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'], now: NOW })
    server = await KeyServer.start(key)
  })
  afterEach(async () => {
    vi.useRealTimers()
    vi.restoreAllMocks()
    await server.stop()
  })

  async function verify(signedWith: SigningKey = key, options = {}) {
    const at = Date.now() / 1000
    const token = await sign(signedWith, claims({ iss: server.issuer, iat: at, exp: at + 120 }))
    return parse(post({ logout_token: token }), { issuer: server.issuer, ...options })
  }

  test('nothing is asked before a token needs it, then the document once, whoever comes first', async () => {
    await parse(new Request('https://rp.example/?sid=1'), { issuer: server.issuer })
    await refusal(parse(post({ logout_token: 'a.b.c' }), { issuer: server.issuer }))
    expect(server.requests).toEqual([])
    await Promise.all(Array.from({ length: 10 }, () => verify()))
    await verify()
    expect([server.count('discovery'), server.count('keys')]).toEqual([1, 1])
  })

  describe.each([
    ['discovery is down', 'discovery', json({}, 500)],
    ['the keys are down', 'keys', json({}, 500)],
    ['the keys are no JSON', 'keys', ((response) => response.end('<html>')) as Answer],
    ['the keys are no JWKS', 'keys', json({ keys: 'none' })],
  ] as const)('while %s', (_, kind, answer) => {
    beforeEach(() => {
      if (kind === 'discovery') server.answerDiscovery(answer)
      else server.answerKeys(answer)
    })

    test('50 tokens that nobody signed cost one request, and each is told why (F17)', async () => {
      const forged = await signingKey('key-1')
      const errors = []
      for (let i = 0; i < 50; i++) errors.push(await refusal(verify(forged)))
      expect(server.count(kind)).toBe(1)
      const reasons = new Set(errors.map(({ cause }) => (cause as Error).message))
      expect(reasons.size).toBe(1)
      expect(errors.every(({ keysUnavailable }) => keysUnavailable)).toBe(true)
    })

    test('the failure is forgotten after five seconds', async () => {
      await refusal(verify())
      server.answers.clear()
      vi.advanceTimersByTime(4999)
      expect(await refusal(verify())).toMatchObject({ keysUnavailable: true })
      vi.advanceTimersByTime(1)
      expect(await status(verify())).toBe(200)
      expect(server.count(kind)).toBe(2)
    })

    test('with failures not remembered, or remembered for good, either goes wrong', async () => {
      const token = await sign(key, claims({ iss: server.issuer }))
      const askedBy = async (broken: typeof parse) => {
        const before = server.count(kind)
        await broken(post({ logout_token: token }), { issuer: server.issuer }).catch(() => {})
        await broken(post({ logout_token: token }), { issuer: server.issuer }).catch(() => {})
        vi.advanceTimersByTime(5000)
        await broken(post({ logout_token: token }), { issuer: server.issuer }).catch(() => {})
        return server.count(kind) - before
      }
      expect(await askedBy(await brokenParse('keys: failures not remembered'))).toBe(3)
      expect(await askedBy(await brokenParse('keys: failures remembered for good'))).toBe(1)
    })
  })

  test('a clock that is set back does not prolong a failure', async () => {
    server.answerKeys(json({}, 500))
    await refusal(verify())
    server.answers.clear()
    vi.advanceTimersByTime(5000)
    vi.setSystemTime(NOW)
    expect(await status(verify())).toBe(200)
  })

  test('a key that the provider has rotated in is found, by a new fetch at most every five seconds', async () => {
    await verify()
    server.keys = [key.jwk, next.jwk]
    expect(await refusal(verify(next))).toMatchObject({ status: 400, keysUnavailable: false })
    vi.setSystemTime(NOW.getTime() + 4_999)
    expect(await status(verify(next))).toBe(400)
    vi.setSystemTime(NOW.getTime() + 5_000)
    expect(await status(verify(next))).toBe(200)
    for (let i = 0; i < 5; i++) await refusal(verify({ ...next, kid: 'unknown' }))
    expect(server.count('keys')).toBe(2)
  })

  test('keys that have moved are found where the discovery document has them now (E21)', async () => {
    const elsewhere = await KeyServer.start(next)
    onTestFinished(() => elsewhere.stop())
    const tokenOf = (signing: SigningKey) => sign(signing, claims({ iss: server.issuer }))
    const move = async (verifying: typeof parse) => {
      server.answers.clear()
      const ask = async (signing: SigningKey) =>
        status(verifying(post({ logout_token: await tokenOf(signing) }), { issuer: server.issuer }))
      expect(await ask(key)).toBe(200)
      server.answerDiscovery(json({ issuer: server.issuer, jwks_uri: `${elsewhere.issuer}/keys` }))
      server.answerKeys(json({}, 404))
      expect(await ask(next)).toBe(400)
      vi.advanceTimersByTime(5000)
      return [await ask(next), await ask(next)]
    }
    expect(await move(parse)).toEqual([200, 200])
    expect(elsewhere.count('keys')).toBe(1)
    expect(await move(await brokenParse('keys: moved for good'))).toEqual([400, 400])
  })

  test('a key that the provider has withdrawn is forgotten after ten minutes', async () => {
    await verify()
    server.keys = [next.jwk]
    vi.setSystemTime(NOW.getTime() + 599_999)
    expect(await status(verify(key))).toBe(200)
    vi.setSystemTime(NOW.getTime() + 600_000)
    expect(await status(verify(key))).toBe(400)
    expect(await status(verify(next))).toBe(200)
  })

  test('the provider down: the keys that are known still verify', async () => {
    await verify()
    server.answerKeys(json({}, 503))
    vi.setSystemTime(NOW.getTime() + 60_000)
    expect(await status(verify())).toBe(200)
    expect(await refusal(verify(next))).toMatchObject({ keysUnavailable: true })
    expect(await status(verify())).toBe(200)
  })

  test('jwks as a URL: no discovery, and cached although the options are new each time', async () => {
    await verify(key, { jwks: new URL(server.jwksUri) })
    await verify(key, { jwks: new URL(server.jwksUri) })
    expect(server.requests).toEqual(['/keys'])
  })

  const garbage: Answer = (response) => response.end('<html>')
  const cut: Answer = (response) => response.destroy()
  test.each([
    ['discovery 500', 'discovery', json({}, 500)],
    ['discovery 404', 'discovery', json({}, 404)],
    ['discovery garbage', 'discovery', garbage],
    ['discovery cut', 'discovery', cut],
    ['discovery null', 'discovery', json(null)],
    ['discovery of another issuer', 'discovery', json({ issuer: 'https://op.example', jwks_uri: 'x' })],
    [
      'discovery redirected',
      'discovery',
      ((response) => response.writeHead(302, { location: '/elsewhere' }).end()) as Answer,
    ],
    ['keys 500', 'keys', json({}, 500)],
    ['keys garbage', 'keys', garbage],
    ['keys cut', 'keys', cut],
    ['keys of no JWKS', 'keys', json({ keys: 'none' })],
    ['keys that are not keys', 'keys', json({ keys: [{ kty: 'RSA', kid: 'key-1', alg: 'RS256', n: 1 }] })],
  ] as const)('%s: the keys are unavailable, and the token is not at fault', async (_, kind, answer) => {
    if (kind === 'discovery') server.answerDiscovery(answer)
    else server.answerKeys(answer)
    const error = await refusal(verify())
    expect(error).toMatchObject({ status: 400, keysUnavailable: true })
    expect(error.cause).toBeInstanceOf(Error)
    expect(shown(error)).not.toContain('session-1')
  })

  test.each([
    ['without jwks_uri', {}],
    ['with a jwks_uri that is no URL', { jwks_uri: '/keys' }],
    ['with a jwks_uri in clear text', { jwks_uri: 'http://op.example/keys' }],
    ['with a jwks_uri of another kind', { jwks_uri: 'file:///etc/passwd' }],
    ['of another issuer', { issuer: 'https://other.example' }],
  ])('a document %s is not followed', async (_, changes) => {
    const document = { issuer: server.issuer, jwks_uri: server.jwksUri, ...changes }
    if (Object.keys(changes).length === 0) document.jwks_uri = undefined as never
    server.answerDiscovery(json(document))
    expect(await refusal(verify())).toMatchObject({ keysUnavailable: true })
    expect(server.count('keys')).toBe(0)
  })

  test('with the issuer of the document unchecked, it would be', async () => {
    server.answerDiscovery(json({ issuer: 'https://other.example', jwks_uri: server.jwksUri }))
    const broken = await brokenParse('keys: any issuer in the document')
    const token = await sign(key, claims({ iss: server.issuer }))
    expect(await status(broken(post({ logout_token: token }), { issuer: server.issuer }))).toBe(200)
  })

  test('nobody listens there', async () => {
    const other = await LocalServer.start(() => {})
    await other.stop()
    const token = await sign(key, claims({ iss: other.origin }))
    const error = await refusal(parse(post({ logout_token: token }), { issuer: other.origin }))
    expect(error).toMatchObject({ keysUnavailable: true, cause: { code: 'ECONNREFUSED' } })
  })

  test.each([
    ['discovery', (answer: Answer) => server.answerDiscovery(answer)],
    ['keys', (answer: Answer) => server.answerKeys(answer)],
  ])('%s that never answers is given up after five seconds', async (kind, answerWith) => {
    const limits: number[] = []
    const deadline = new AbortController()
    vi.spyOn(AbortSignal, 'timeout').mockImplementation((milliseconds) => {
      limits.push(milliseconds)
      return deadline.signal
    })
    answerWith(() => deadline.abort(new DOMException('too late', 'TimeoutError')))
    expect(await refusal(verify())).toMatchObject({ status: 400, keysUnavailable: true })
    expect(limits).toEqual(kind === 'keys' ? [5000, 5000] : [5000])
  })

  test('the document of a template is that of common', async () => {
    const issuer = `${server.issuer}/{tenantid}/v2.0`
    server.answers.set(
      '/common/v2.0/.well-known/openid-configuration',
      json({ issuer, jwks_uri: server.jwksUri }),
    )
    const token = await sign(key, claims({ iss: `${server.issuer}/${TENANT}/v2.0` }))
    expect(await parse(post({ logout_token: token }), { issuer })).toMatchObject({
      issuer: `${server.issuer}/${TENANT}/v2.0`,
    })
  })

  afterAll(() => {
    vi.useRealTimers()
  })
})
