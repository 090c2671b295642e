import { expect, test } from 'vitest'
import { acquiredBetween } from '../../src/msal/memory.ts'
import { emptyCache } from '../../src/msal/schema.ts'
import { accessTokenOf, accountOf, cacheOf, refreshTokenOf } from '../support/entities.ts'

const before = cacheOf({
  Account: { alice: accountOf('alice'), bob: accountOf('bob') },
  RefreshToken: { alice: refreshTokenOf('alice'), bob: refreshTokenOf('bob') },
})

test('nothing new is nothing', () => {
  expect(acquiredBetween(before, before)).toEqual(emptyCache())
  expect(acquiredBetween(before, structuredClone(before))).toEqual(emptyCache())
})

test('what is new, or another than before, and the accounts that it is of', () => {
  const fresh = refreshTokenOf('alice', { secret: 'another' })
  const token = accessTokenOf('alice', 'a')
  const after = {
    ...before,
    AccessToken: { token },
    RefreshToken: { ...before.RefreshToken, alice: fresh },
  }
  expect(acquiredBetween(before, after)).toEqual(
    cacheOf({
      Account: { alice: accountOf('alice') },
      AccessToken: { token },
      RefreshToken: { alice: fresh },
    }),
  )
})

test('what is gone was not acquired', () => {
  expect(acquiredBetween(before, emptyCache())).toEqual(emptyCache())
})

test('app metadata comes along, and makes nothing acquired', () => {
  const AppMetadata = { app: { client_id: 'client', environment: 'login.example' } }
  expect(acquiredBetween(before, { ...before, AppMetadata })).toEqual(cacheOf({ AppMetadata }))
})
