import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { beginSignIn, redemptionOf, type SignInRequest } from '../../src/clients/sign-in.ts'
import { ConfigurationError } from '../../src/index.ts'

const request: SignInRequest = { scopes: ['User.Read'], redirectUri: 'https://app.example/callback' }

test('state, nonce and verifier are new each time, and the challenge is the verifier’s (RFC 7636)', () => {
  const made = Array.from({ length: 100 }, () => beginSignIn(request))
  const values = made.flatMap(({ pending }) => [pending.state, pending.nonce, pending.codeVerifier])
  expect(new Set(values).size).toBe(300)
  for (const { authorizationRequest, pending } of made) {
    expect(authorizationRequest).toEqual({
      ...request,
      state: pending.state,
      nonce: pending.nonce,
      codeChallenge: createHash('sha256').update(pending.codeVerifier).digest('base64url'),
      codeChallengeMethod: 'S256',
    })
    expect(pending.codeVerifier).toMatch(/^[A-Za-z0-9._~-]{43,128}$/)
    expect(Buffer.from(pending.state, 'base64url').length).toBeGreaterThanOrEqual(16)
    expect(Buffer.from(pending.nonce, 'base64url').length).toBeGreaterThanOrEqual(16)
  }
})

test('what is pending comes back through JSON as what redeems the code, and repeats what has to be repeated', () => {
  const repeated = {
    authority: 'https://login.microsoftonline.com/contoso',
    claims: '{"id_token":{"auth_time":{"essential":true}}}',
    resource: 'https://api.example',
  }
  const hints = { prompt: 'select_account', loginHint: 'alice@contoso.example', domainHint: undefined }
  const scopes = ['a', 'b']
  const { authorizationRequest, pending } = beginSignIn({ ...request, ...repeated, ...hints, scopes })
  expect(authorizationRequest).toMatchObject({ ...repeated, prompt: 'select_account' })
  expect('domainHint' in authorizationRequest).toBe(false)
  scopes.push('pushed later')

  const { state, nonce, codeVerifier } = pending
  const response = { state, code: 'c' }
  expect(redemptionOf(JSON.parse(JSON.stringify(pending)), response).request).toEqual({
    ...{ code: 'c', nonce, codeVerifier, redirectUri: request.redirectUri, scopes: ['a', 'b'] },
    ...repeated,
  })
})

test('it is bounded', () => {
  const longest = 'x'.repeat(1_700)
  expect(JSON.stringify(beginSignIn({ ...request, scopes: [longest] }).pending).length).toBeLessThan(2_048)
  expect(() => beginSignIn({ ...request, scopes: [`${longest}${'x'.repeat(300)}`] })).toThrow(
    /2048 characters/,
  )
})

test.each([
  ['request', undefined],
  ['request', 'a'],
  ['scopes', { ...request, scopes: undefined }],
  ['scopes', { ...request, scopes: 'User.Read' }],
  ['scopes', { ...request, scopes: [7] }],
  ['redirectUri', { scopes: [] }],
  ['redirectUri', { ...request, redirectUri: '/callback' }],
  ['authority', { ...request, authority: 'contoso' }],
  ['responseMode', { ...request, responseMode: 'fragment' }],
  ['state', { ...request, state: 'mine' }],
  ['nonce', { ...request, nonce: 'mine' }],
  ['codeChallenge', { ...request, codeChallenge: 'mine' }],
  ['codeChallengeMethod', { ...request, codeChallengeMethod: 'plain' }],
  ['azureCloudOptions', { ...request, azureCloudOptions: { azureCloudInstance: 'x' } }],
])('%s is named when it is wrong: %j', (name, wrong) => {
  const begin = () => beginSignIn(wrong as SignInRequest)
  expect(begin).toThrow(ConfigurationError)
  expect(begin).toThrow(new RegExp(`^${name} |'${name}'`))
})

test('whatever else the session hands back is a programming error', () => {
  const { pending } = beginSignIn(request)
  const without = (name: string) =>
    Object.fromEntries(Object.entries(pending).filter(([each]) => each !== name))
  const wrong: unknown[] = [
    ...['state', 'nonce', 'codeVerifier', 'request'].flatMap((name) => [
      without(name),
      { ...pending, [name]: '' },
      { ...pending, [name]: 7 },
    ]),
    { ...pending, request: { ...pending.request, scopes: 'User.Read' } },
    { ...pending, request: { ...pending.request, scopes: [null] } },
    { ...pending, request: { ...pending.request, redirectUri: undefined } },
    { ...pending, request: { ...pending.request, authority: 7 } },
    JSON.stringify(pending),
    {},
    [],
    true,
  ]
  for (const each of wrong) expect(() => redemptionOf(each as never, {})).toThrow(ConfigurationError)
})
