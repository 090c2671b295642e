import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeRecord, encodeRecord } from '../../src/records/record.ts'

const KEY = 'mk1_{account}_p'
const RECORD = {
  key: KEY,
  generation: 'g',
  generationKey: undefined,
  links: ['a', 'b'],
  expiresAt: 7,
  body: '{}',
}
const [HEADER = ''] = encodeRecord(RECORD).split('\n')

test('is read as it was written, whatever its body', () => {
  const optionalText = fc.option(fc.string({ minLength: 1 }), { nil: undefined })
  const record = fc.record({
    key: fc.string(),
    generation: optionalText,
    generationKey: optionalText,
    links: fc.option(fc.array(fc.string()), { nil: undefined }),
    expiresAt: fc.integer(),
    body: fc.string({ unit: 'binary' }),
  })
  fc.assert(
    fc.property(record, (it) => {
      expect(decodeRecord(encodeRecord(it), it.key)).toEqual(it)
    }),
  )
})

test('is one line of JSON, and the body behind it as it is', () => {
  expect(encodeRecord(RECORD)).toBe(`{"v":1,"k":"${KEY}","g":"g","s":["a","b"],"x":7}\n{}`)
})

describe('what it is not', () => {
  test.each([
    ['malformed', ''],
    ['malformed', '\n'],
    ['malformed', 'nonsense\n{}'],
    ['malformed', HEADER],
    ['malformed', '7\n{}'],
    ['malformed', '[]\n{}'],
    ['malformed', `${HEADER.replace('"v":1,', '')}\n{}`],
    ['malformed', `${HEADER.replace('"v":1', '"v":0')}\n{}`],
    ['malformed', `${HEADER.replace('"v":1', '"v":"2"')}\n{}`],
    ['malformed', `${HEADER.replace('"x":7', '"x":"7"')}\n{}`],
    ['malformed', `${HEADER.replace('"g":"g"', '"g":""')}\n{}`],
    ['malformed', `${HEADER.replace('"g":"g"', '"o":7')}\n{}`],
    ['malformed', `${HEADER.replace('["a","b"]', '7')}\n{}`],
    ['malformed', `${HEADER.replace('["a","b"]', '"a"')}\n{}`],
    ['newer-version', `${HEADER.replace('"v":1', '"v":2')}\n{}`],
    ['newer-version', '{"v":9}\nwhatever'],
  ])('%s: %j', (unreadable, text) => {
    expect(decodeRecord(text, KEY)).toEqual({ unreadable })
  })

  test('another one, by the key that it says', () => {
    expect(decodeRecord(encodeRecord(RECORD), 'another')).toEqual({ unreadable: 'wrong-record' })
  })
})
