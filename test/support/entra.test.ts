import { describe, expect, test } from 'vitest'
import { acquireSilently, CLIENT_ID, EntraStandIn, type Flavour, SCOPES } from './entra.ts'

const entra = () => new EntraStandIn()

describe.each<Flavour>(['entra', 'b2c', 'ciam', 'oidc'])('the %s flavour', (flavour) => {
  test('signs in, serves a silent hit, and refreshes within the same chain', async () => {
    const entra = new EntraStandIn({ flavour })
    const client = entra.client()
    const user = entra.user()

    const signedIn = await entra.signIn(client, user)
    const { homeAccountId } = user
    expect(signedIn.account?.homeAccountId).toBe(homeAccountId)
    expect(signedIn.scopes).toContain('User.Read')

    const hit = await acquireSilently(client, homeAccountId)
    expect(hit).toMatchObject({ fromCache: true, accessToken: signedIn.accessToken })

    const refreshed = await acquireSilently(client, homeAccountId, { forceRefresh: true })
    expect(refreshed.fromCache).toBe(false)
    expect(refreshed.accessToken).not.toBe(signedIn.accessToken)
    expect(entra.ownerOf(refreshed.accessToken)).toMatchObject({ homeAccountId, chain: 1 })

    const account = signedIn.account ?? expect.fail('no account')
    const again = await client.acquireTokenSilent({ account, scopes: SCOPES, forceRefresh: true })
    expect(entra.ownerOf(again.accessToken)).toMatchObject({ homeAccountId, chain: 1 })

    expect(entra.tokenRequests).toMatchObject({ authorization_code: 1, refresh_token: 2 })
    expect(entra.discoveryRequests).toBe(flavour === 'entra' ? 0 : 1)
  })
})

test('the id token carries what logout needs', async () => {
  const stand = entra()
  const user = stand.user({ sid: 'session-1' })
  const { idTokenClaims } = await stand.signIn(stand.client(), user)
  expect(idTokenClaims).toMatchObject({
    iss: stand.issuerFor(user.tid),
    aud: CLIENT_ID,
    sub: user.sub,
    oid: user.oid,
    tid: user.tid,
    sid: 'session-1',
    preferred_username: user.username,
  })
})

test('a guest has the home account id of the home tenant', async () => {
  const stand = entra()
  const guest = stand.user({ utid: 'b0e00000-0000-4000-8000-000000000b0e', tid: stand.user().tid })
  const { account } = await stand.signIn(stand.client(), guest)
  expect(account).toMatchObject({ homeAccountId: `${guest.uid}.${guest.utid}`, tenantId: guest.tid })
})

test('a partition weighs about 6 kB', async () => {
  const stand = entra()
  const client = stand.client()
  await stand.signIn(client, stand.user())
  const weight = client.getTokenCache().serialize().length
  expect(weight).toBeGreaterThan(5_000)
  expect(weight).toBeLessThan(7_000)
})

test('small tokens are small', async () => {
  const stand = new EntraStandIn({ size: 'small' })
  const client = stand.client()
  await stand.signIn(client, stand.user())
  expect(client.getTokenCache().serialize().length).toBeLessThan(4_500)
})

test('client credentials', async () => {
  const stand = entra()
  const client = stand.client()
  const request = { scopes: ['https://graph.microsoft.com/.default'] }
  const first = await client.acquireTokenByClientCredential(request)
  const second = await client.acquireTokenByClientCredential(request)
  expect(second).toMatchObject({ fromCache: true, accessToken: first?.accessToken })
  expect(stand.ownerOf(first?.accessToken ?? '')).toMatchObject({ homeAccountId: '', chain: 0 })
  expect(stand.tokenRequests.client_credentials).toBe(1)
})

test('on-behalf-of', async () => {
  const stand = entra()
  const client = stand.client()
  const user = stand.user()
  const request = { scopes: SCOPES, oboAssertion: stand.assertion(user) }
  const first = await client.acquireTokenOnBehalfOf(request)
  const second = await client.acquireTokenOnBehalfOf(request)
  expect(first?.account?.homeAccountId).toBe(user.homeAccountId)
  expect(second).toMatchObject({ fromCache: true, accessToken: first?.accessToken })
  expect(stand.ownerOf(first?.accessToken ?? '')).toMatchObject({
    homeAccountId: user.homeAccountId,
    chain: 1,
  })
})

test('every sign-in begins a chain, and tokens are found by account and by chain', async () => {
  const stand = entra()
  const client = stand.client()
  const [alice, bob] = [stand.user(), stand.user()]
  await stand.signIn(client, alice)
  await stand.signIn(client, alice)
  await stand.signIn(client, bob)
  expect(stand.secretsOf({ homeAccountId: alice.homeAccountId })).toHaveLength(6)
  expect(stand.secretsOf({ chain: 2 })).toHaveLength(3)
  expect(stand.secretsOf()).toHaveLength(9)

  const chains = stand.tokensIn(client.getTokenCache().serialize()).map((issued) => issued.chain)
  expect(new Set(chains)).toEqual(new Set([2, 3]))
})

test('a code is good once, and an unknown refresh token or assertion for nothing', async () => {
  const stand = entra()
  const client = stand.client()
  const request = { code: stand.code(stand.user()), redirectUri: 'https://app.example', scopes: SCOPES }
  await client.acquireTokenByCode(request)
  await expect(client.acquireTokenByCode(request)).rejects.toMatchObject({ errorCode: 'invalid_grant' })
  const obo = client.acquireTokenOnBehalfOf({ scopes: SCOPES, oboAssertion: 'unknown' })
  await expect(obo).rejects.toMatchObject({ errorCode: 'invalid_grant' })
})

test('a nonce comes back in the id token', async () => {
  const stand = entra()
  const code = stand.code(stand.user(), { nonce: 'n-1' })
  const request = { code, redirectUri: 'https://app.example', scopes: SCOPES, nonce: 'n-1' }
  const { idTokenClaims } = await stand.client().acquireTokenByCode(request)
  expect(idTokenClaims).toMatchObject({ nonce: 'n-1' })
})

describe('answers', () => {
  test('a refresh without id_token and client_info has no owner for MSAL', async () => {
    const stand = new EntraStandIn({ flavour: 'oidc' })
    const client = stand.client()
    const user = stand.user({ uid: 'alice' })
    await stand.signIn(client, user)
    expect(user.homeAccountId).toBe('alice')

    stand.answers.refresh_token = { omit: ['id_token', 'client_info', 'refresh_token'] }
    const { accessToken } = await acquireSilently(client, 'alice', { forceRefresh: true })
    expect(stand.ownerOf(accessToken)).toMatchObject({ homeAccountId: 'alice', chain: 1 })
    const stored = Object.values(client.getTokenCache().getKVStore())
    expect(stored).toContainEqual(expect.objectContaining({ homeAccountId: '', secret: accessToken }))
  })

  test('no scope means what was asked for', async () => {
    const stand = entra()
    stand.answers.authorization_code = { omit: ['scope'] }
    const { scopes } = await stand.signIn(stand.client(), stand.user(), ['Mail.Read'])
    expect(scopes).toContain('Mail.Read')
  })

  test('a short lifetime makes the next silent call refresh', async () => {
    const stand = entra()
    const client = stand.client()
    const user = stand.user()
    stand.answers.authorization_code = { lifetime: 299 }
    await stand.signIn(client, user)
    expect((await acquireSilently(client, user.homeAccountId)).fromCache).toBe(false)
    expect((await acquireSilently(client, user.homeAccountId)).fromCache).toBe(true)
  })

  test('an error is an error, for the account that a function picks', async () => {
    const stand = entra()
    const client = stand.client()
    const [alice, bob] = [stand.user(), stand.user()]
    await stand.signIn(client, alice)
    await stand.signIn(client, bob)
    stand.answers.refresh_token = ({ homeAccountId }) =>
      homeAccountId === alice.homeAccountId ? { error: 'invalid_grant', suberror: 'bad_token' } : {}
    const refused = acquireSilently(client, alice.homeAccountId, { forceRefresh: true })
    await expect(refused).rejects.toMatchObject({ errorCode: 'invalid_grant', subError: 'bad_token' })
    await acquireSilently(client, bob.homeAccountId, { forceRefresh: true })
  })
})

test('a held request is answered only after its release, others at once', async () => {
  const stand = entra()
  const [alice, bob] = [stand.user(), stand.user()]
  const held = stand.hold((request) => request.homeAccountId === alice.homeAccountId)
  const order: string[] = []
  const first = stand.signIn(stand.client(), alice).then(() => order.push('alice'))
  expect(await held.arrived).toMatchObject({ grant: 'authorization_code', chain: 1 })
  await stand.signIn(stand.client(), bob).then(() => order.push('bob'))
  held.release()
  await first
  expect(order).toEqual(['bob', 'alice'])
})
