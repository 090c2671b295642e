import { beforeEach, expect, test, vi } from 'vitest'
import type * as ReadableModule from '../../src/msal/schema.ts'
import { emptyCache, ReadableTexts } from '../../src/msal/schema.ts'
import { refreshTokenOf } from '../support/entities.ts'
import { mutant } from '../support/mutant.ts'

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
