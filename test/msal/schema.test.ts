import { describe, expect, test } from 'vitest'
import {
  countEntities,
  emptyCache,
  environmentsOf,
  hasCredentials,
  isEmpty,
  parseCache,
  parseSerialized,
  unknownSections,
} from '../../src/msal/schema.ts'
import { accessTokenOf, accountOf, cacheOf, refreshTokenOf } from '../support/entities.ts'
import { EntraStandIn, type Flavour } from '../support/entra.ts'

const whole = cacheOf({
  Account: { account: accountOf('alice') },
  AccessToken: { access: accessTokenOf('alice', 'a') },
  RefreshToken: { refresh: refreshTokenOf('alice') },
})

describe('what MSAL serializes is a cache', () => {
  test.each(['entra', 'b2c', 'ciam', 'oidc'] as Flavour[])('of %s', async (flavour) => {
    const entra = new EntraStandIn({ flavour, size: 'small' })
    const client = entra.client()
    await entra.signIn(client, entra.user())
    const text = client.getTokenCache().serialize()
    expect(parseCache(text)).toEqual(JSON.parse(text))
    expect(countEntities(parseSerialized(text))).toBe(4)
  })

  test('with sections that this MSAL does not know, which stay as they are', () => {
    const text = JSON.stringify({ ...whole, Future: { a: 1 }, Version: 7 })
    expect(unknownSections(parseSerialized(text))).toEqual({ Future: { a: 1 }, Version: 7 })
  })

  test('with a section missing, which is empty', () => {
    const { AppMetadata, IdToken, ...others } = whole
    expect(parseCache(JSON.stringify(others))).toEqual(whole)
  })
})

test.each([
  '',
  'nonsense',
  '7',
  'null',
  '[]',
  '"text"',
  '{"Account":7}',
  '{"Account":[]}',
  '{"AppMetadata":{"a":7}}',
])('the text %j is none', (text) => {
  expect(parseCache(text)).toBeUndefined()
  expect(() => parseSerialized(text)).toThrow(/token cache/)
})

test.each(
  Object.entries(whole).flatMap(([section, entities]) =>
    Object.entries(entities as Record<string, object>).flatMap(([key, entity]) =>
      Object.keys(entity)
        // MSAL does without these.
        .filter((member) => !['cached_at', 'expires_on', 'extended_expires_on'].includes(member))
        .map((member) => [section, member, key, entity] as const),
    ),
  ),
)('%s without %s, or with a number there, is none', (section, member, key, entity) => {
  for (const value of [undefined, 7]) {
    const damaged = { ...whole, [section]: { [key]: { ...entity, [member]: value } } }
    expect(parseCache(JSON.stringify(damaged))).toBeUndefined()
  }
})

test('empty, without a credential, and of which environments', () => {
  const account = cacheOf({ Account: { account: accountOf('alice', { environment: 'other.example' }) } })
  expect([isEmpty(emptyCache()), isEmpty(account)]).toEqual([true, false])
  expect([hasCredentials(account), hasCredentials(whole)]).toEqual([false, true])
  expect([...environmentsOf({ ...whole, ...{ Account: account.Account } })]).toEqual([
    'other.example',
    'login.example',
  ])
})
