import { describe, expect, test } from 'vitest'
import { requestKey } from '../../src/clients/shared-calls.ts'

const owner = { homeAccountId: 'uid.utid', generation: 'g' }

const equal: readonly (readonly [string, object, object])[] = [
  ['members in another order', { scopes: ['a'], claims: 'c' }, { claims: 'c', scopes: ['a'] }],
  ['members of members in another order', { account: { a: 1, b: 2 } }, { account: { b: 2, a: 1 } }],
  ['scopes in another order, and twice', { scopes: ['a', 'b'] }, { scopes: ['b', 'a', 'b'] }],
  ['another correlation id', { scopes: ['a'], correlationId: '1' }, { scopes: ['a'], correlationId: '2' }],
  ['a member that is undefined', { scopes: ['a'] }, { scopes: ['a'], claims: undefined }],
]

const different: readonly (readonly [string, object, object])[] = [
  ['scopes', { scopes: ['a'] }, { scopes: ['b'] }],
  ['a scope that holds the others', { scopes: ['a b'] }, { scopes: ['a', 'b'] }],
  ['lists in another order', { list: ['a', 'b'] }, { list: ['b', 'a'] }],
  ['dates', { since: new Date(1) }, { since: new Date(2) }],
  ['bytes', { key: Buffer.from('a') }, { key: Buffer.from('b') }],
  [
    'a member that is called __proto__',
    JSON.parse('{"__proto__":{"a":1}}'),
    JSON.parse('{"__proto__":{"a":2}}'),
  ],
]

describe('the key of a request', () => {
  test.each(equal)('is the same for %s', (_, one, other) => {
    expect(requestKey(['silent', owner], one)).toBe(requestKey(['silent', owner], other))
  })

  test.each(different)('tells apart %s', (_, one, other) => {
    expect(requestKey(['silent', owner], one)).not.toBe(requestKey(['silent', owner], other))
  })

  test('tells flows and owners apart', () => {
    const keys = [
      requestKey(['silent', owner], {}),
      requestKey(['app', owner], {}),
      requestKey(['silent', { ...owner, generation: 'h' }], {}),
    ]
    expect(new Set(keys).size).toBe(3)
  })

  test.each([
    ['a function', { clientAssertion: async () => 'a.b.c' }],
    ['a set', { scopes: new Set(['a']) }],
    ['a map', { extra: new Map() }],
  ])('is none for a request that holds %s, which cannot be compared', (_, request) => {
    expect(requestKey(['silent', owner], request)).toBeUndefined()
  })
})
