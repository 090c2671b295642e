import { describe, expect, test } from 'vitest'
import { lastUseOf, mergeCaches, supersede, usableUntil, withoutExpired } from '../../src/msal/merge.ts'
import { parseSerialized } from '../../src/msal/schema.ts'
import { isOnBehalfOf } from '../../src/msal/split.ts'
import { accessTokenOf, accountOf, cacheOf, idTokenOf, refreshTokenOf } from '../support/entities.ts'
import { EntraStandIn } from '../support/entra.ts'

const tokens = (...of: ReturnType<typeof accessTokenOf>[]) =>
  cacheOf({ AccessToken: Object.fromEntries(of.map((token) => [token.secret, token])) })

describe('two caches', () => {
  test('are one, the later over the earlier', () => {
    const earlier = cacheOf({ RefreshToken: { alice: refreshTokenOf('alice'), bob: refreshTokenOf('bob') } })
    const later = cacheOf({ RefreshToken: { alice: refreshTokenOf('alice', { secret: 'new' }) } })
    const { RefreshToken } = mergeCaches(earlier, later)
    expect(Object.values(RefreshToken).map(({ secret }) => secret)).toEqual(['new', 'refresh token of bob'])
  })

  test('keep the tenant profiles of both, each tenant once', () => {
    const profile = (tenantId: string, name: string) => JSON.stringify({ tenantId, name })
    const account = (...tenantProfiles: string[]) =>
      cacheOf({ Account: { alice: accountOf('alice', { tenantProfiles }) } })
    const home = account(profile('home', 'Alice'), profile('guest', 'A.'))
    const { Account } = mergeCaches(home, account(profile('guest', 'Alice B.')))
    expect(Account.alice?.tenantProfiles).toEqual([profile('home', 'Alice'), profile('guest', 'Alice B.')])
  })

  test('keep sections that MSAL does not know', () => {
    expect(mergeCaches({ ...tokens(), Future: 1 }, { ...tokens(), Other: 2 })).toMatchObject({
      Future: 1,
      Other: 2,
    })
  })
})

describe('what was acquired replaces', () => {
  const replaced = (base: ReturnType<typeof accessTokenOf>, fresh: ReturnType<typeof accessTokenOf>) =>
    !(base.secret in supersede(tokens(base), tokens(fresh)).AccessToken)
  const old = accessTokenOf('alice', 'Mail.Read User.Read openid', { secret: 'old' })

  test('tokens that share a scope, in any case', () => {
    expect(replaced(old, accessTokenOf('alice', 'user.read other', { secret: 'new' }))).toBe(true)
  })

  test.each([
    ['of other scopes', { target: 'Calendars.Read' }],
    ['that share only what every sign-in asks for', { target: 'api://other openid profile' }],
    ['of another account', { home_account_id: 'bob' }],
    ['of another environment', { environment: 'other.example' }],
    ['of another tenant', { realm: 'other' }],
    ['of another client', { client_id: 'other' }],
    ['of another type', { token_type: 'pop' }],
    ['with additional cache key components', { additionalCacheKeyComponents: { fmi_path: 'a' } }],
  ])('none %s', (_, difference) => {
    const fresh = { ...accessTokenOf('alice', 'User.Read', { secret: 'new' }), ...difference }
    expect(replaced(old, fresh)).toBe(false)
  })

  test('a refresh token of the same account, under whatever key', () => {
    const earlier = cacheOf({ RefreshToken: { 'as MSAL 3 names it': refreshTokenOf('alice') } })
    const later = cacheOf({
      RefreshToken: { 'as MSAL 7 does': refreshTokenOf('alice', { secret: 'new', family_id: '' }) },
    })
    expect(Object.keys(supersede(earlier, later).RefreshToken)).toEqual(['as MSAL 7 does'])
    const others = cacheOf({ RefreshToken: { bob: refreshTokenOf('bob') } })
    expect(Object.keys(supersede(earlier, others).RefreshToken)).toHaveLength(2)
  })

  test('as MSAL itself does in its memory', async () => {
    const entra = new EntraStandIn({ size: 'small' })
    const user = entra.user()
    const signedIn = async (...scopes: string[][]) => {
      const client = entra.client()
      for (const each of scopes) await entra.signIn(client, user, each)
      return parseSerialized(client.getTokenCache().serialize())
    }
    const scopes = [['a', 'b'], ['c'], ['b', 'd'], ['e']]
    const one = await signedIn(...scopes)
    let merged = await signedIn(scopes[0] ?? [])
    for (const each of scopes.slice(1)) merged = supersede(merged, await signedIn(each))
    const targets = ({ AccessToken }: typeof one) =>
      Object.values(AccessToken)
        .map(({ target }) => target)
        .sort()
    expect(targets(merged)).toEqual(targets(one))
    expect(Object.keys(merged.RefreshToken)).toEqual(Object.keys(one.RefreshToken))
  })
})

describe('when it is of no more use', () => {
  const token = (expires_on: string, extended_expires_on?: string) =>
    accessTokenOf('alice', `expires on ${expires_on}`, {
      expires_on,
      ...(extended_expires_on === undefined ? {} : { extended_expires_on }),
    })

  test('an access token: with its expiry, or its extended expiry if that is later', () => {
    expect(lastUseOf(tokens(token('10', '20'), token('15', '5')))).toBe(20_000)
    expect(lastUseOf(tokens(token('soon', '5')))).toBe(Number.POSITIVE_INFINITY)
    const left = withoutExpired(tokens(token('10', '20'), token('15', '5'), token('soon', '5')), 15_000)
    expect(Object.values(left.AccessToken).map(({ expires_on }) => expires_on)).toEqual(['10', 'soon'])
  })

  test('a cache: with its last access or ID token, never with a refresh token', () => {
    const idToken = cacheOf({ IdToken: { alice: idTokenOf('alice', { exp: 30 }) } })
    expect(usableUntil(mergeCaches(tokens(token('10', '20')), idToken))).toBe(30_000)
    expect(usableUntil(cacheOf({ Account: { alice: accountOf('alice') } }))).toBe(Number.NEGATIVE_INFINITY)
    expect(usableUntil(cacheOf({ IdToken: { alice: idTokenOf('alice') } }))).toBe(Number.POSITIVE_INFINITY)
    const refreshable = cacheOf({ RefreshToken: { alice: refreshTokenOf('alice') } })
    expect(usableUntil(mergeCaches(idToken, refreshable))).toBe(Number.POSITIVE_INFINITY)
  })
})

test('an answer on behalf of somebody names the assertion', () => {
  expect(isOnBehalfOf(tokens(accessTokenOf('alice', 'a')))).toBe(false)
  expect(isOnBehalfOf(tokens(accessTokenOf('alice', 'a', { userAssertionHash: 'hash' })))).toBe(true)
})
