import { beforeEach, describe, expect, test, vi } from 'vitest'
import type * as ReadableModule from '../../src/msal/schema.ts'
import {
  countEntities,
  emptyCache,
  environmentsOf,
  hasCredentials,
  isEmpty,
  parseCache,
  parseSerialized,
  ReadableTexts,
  unknownSections,
} from '../../src/msal/schema.ts'
import { accessTokenOf, accountOf, cacheOf, refreshTokenOf } from '../support/entities.ts'
import { EntraStandIn, type Flavour } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'

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

describe('texts that MSAL can read', () => {
  let texts: ReadableTexts
  beforeEach(() => {
    texts = new ReadableTexts()
  })

  const textOf = (secret: string) =>
    JSON.stringify({ ...emptyCache(), RefreshToken: { key: refreshTokenOf('alice', { secret }) } })

  test('a text that MSAL can read is parsed once, and then when somebody looks into it', () => {
    const text = textOf('first')
    const parse = vi.spyOn(JSON, 'parse')
    try {
      expect(texts.read(text)?.cache.RefreshToken.key?.secret).toBe('first')
      expect(parse).toHaveBeenCalledTimes(1)
      const again = texts.read(text)
      expect(again?.text).toBe(text)
      expect(parse).toHaveBeenCalledTimes(1)
      expect(again?.cache.RefreshToken.key?.secret).toBe('first')
      expect(again?.cache).toBe(again?.cache)
      expect(parse).toHaveBeenCalledTimes(2)
    } finally {
      parse.mockRestore()
    }
  })

  test.each(['', 'nonsense', '{"Account":7}', JSON.stringify(emptyCache()), textOf('x').slice(1)])(
    'what MSAL cannot read, or what is empty, is never taken for readable: %j',
    (text) => {
      for (let time = 0; time < 2; time++) expect(texts.read(text)).toBeUndefined()
    },
  )

  test('another text of the same length is looked at', () => {
    const text = textOf('first')
    texts.read(text)
    expect(texts.read(text.replace('"AppMetadata":{}', '"AppMetadata":[]'))).toBeUndefined()
  })

  test('10,000 are remembered', async () => {
    const parsedAgain = (all: Pick<ReadableTexts, 'read'>) => {
      for (let n = 0; n <= 10_000; n++) all.read(textOf(`${n}`))
      const parse = vi.spyOn(JSON, 'parse')
      all.read(textOf('0'))
      const { length } = parse.mock.calls
      parse.mockRestore()
      return length
    }
    expect(parsedAgain(texts)).toBe(1)
    const broken = await mutant<typeof ReadableModule>('readable texts: bound lifted', 'ReadableTexts')
    expect(parsedAgain(new broken.ReadableTexts())).toBe(0)
  })
})
