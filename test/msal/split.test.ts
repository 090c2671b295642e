import { describe, expect, test } from 'vitest'
import { emptyCache, parseSerialized } from '../../src/msal/schema.ts'
import { adoptOwnerless, divide, isOnlyOf, isUsers, NO_OWNER, splitByOwner } from '../../src/msal/split.ts'
import { accessTokenOf, accountOf, cacheOf, idTokenOf, refreshTokenOf } from '../support/entities.ts'
import { acquireSilently, EntraStandIn } from '../support/entra.ts'

const AppMetadata = {
  here: { client_id: 'client', environment: 'login.example' },
  elsewhere: { client_id: 'client', environment: 'other.example' },
}
const alices = {
  Account: { alice: accountOf('alice') },
  IdToken: { alice: idTokenOf('alice') },
  RefreshToken: { alice: refreshTokenOf('alice') },
}
const bobs = { AccessToken: { bob: accessTokenOf('bob', 'a', { environment: 'other.example' }) } }
const nobodys = { AccessToken: { app: accessTokenOf(NO_OWNER, 'api/.default') } }
const all = cacheOf({
  ...alices,
  AccessToken: { ...bobs.AccessToken, ...nobodys.AccessToken },
  AppMetadata,
})

test('one cache for each owner, with the app metadata of its provider', () => {
  expect(Object.fromEntries(splitByOwner(all))).toEqual({
    alice: cacheOf({ ...alices, AppMetadata: { here: AppMetadata.here } }),
    bob: cacheOf({ ...bobs, AppMetadata: { elsewhere: AppMetadata.elsewhere } }),
    [NO_OWNER]: cacheOf({ ...nobodys, AppMetadata: { here: AppMetadata.here } }),
  })
  expect(splitByOwner(emptyCache()).size).toBe(0)
})

test("an account's own, nobody's, and all others'", () => {
  const { own, unnamed, others } = divide(all, 'alice')
  expect([own, unnamed, others].map((part) => [...splitByOwner(part).keys()])).toEqual([
    ['alice'],
    [NO_OWNER],
    ['bob'],
  ])
  expect(divide(all, 'Alice').own).toEqual(emptyCache())
  expect([isOnlyOf('alice', own), isOnlyOf('alice', all), isOnlyOf('alice', emptyCache())]).toEqual([
    true,
    false,
    true,
  ])
})

describe('what names no owner', () => {
  const userScoped = cacheOf({ AccessToken: { '-t': accessTokenOf(NO_OWNER, 'a openid') } })
  const refreshed = cacheOf({
    AccessToken: { '-t': accessTokenOf(NO_OWNER, 'a') },
    RefreshToken: { '-r': refreshTokenOf(NO_OWNER) },
  })

  test('becomes an account’s where only a user’s request can have brought it', () => {
    for (const ownerless of [userScoped, refreshed]) {
      const adopted = adoptOwnerless(ownerless, 'Alice')
      expect(isOnlyOf('Alice', adopted)).toBe(true)
      expect(Object.keys(adopted.AccessToken)).toEqual(['alice-t'])
    }
  })

  test('stays nobody’s where it may be an application’s', () => {
    expect(adoptOwnerless(cacheOf(nobodys), 'alice')).toEqual(emptyCache())
  })

  test('was a user’s, or may have been an application’s', () => {
    expect([userScoped, refreshed, cacheOf(nobodys)].map(isUsers)).toEqual([true, true, false])
    expect(isUsers(cacheOf({ IdToken: { '-i': idTokenOf(NO_OWNER) } }))).toBe(true)
  })

  test('is found by MSAL under the account that it became', async () => {
    const entra = new EntraStandIn({ flavour: 'oidc', size: 'small' })
    const user = entra.user({ uid: 'Alice' })
    const client = entra.client()
    await entra.signIn(client, user)
    const signedIn = parseSerialized(client.getTokenCache().serialize())
    entra.answers.authorization_code = { omit: ['id_token', 'client_info'] }
    const nameless = entra.client()
    const { accessToken } = await entra.signIn(nameless, user)
    const adopted = adoptOwnerless(parseSerialized(nameless.getTokenCache().serialize()), user.homeAccountId)
    const memory = entra.client().getTokenCache()
    memory.deserialize(JSON.stringify({ ...adopted, Account: signedIn.Account, IdToken: signedIn.IdToken }))
    const reader = entra.client({
      beforeCacheAccess: async ({ tokenCache }) => tokenCache.deserialize(memory.serialize()),
      afterCacheAccess: async () => {},
    })
    expect((await acquireSilently(reader, user.homeAccountId)).accessToken).toBe(accessToken)
  })
})
