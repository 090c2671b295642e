import Keyv from 'keyv'
import { Keyv as Keyv6 } from 'keyv6'
import { describe, expect, test } from 'vitest'
import { ConfigurationError, KeyvCachePlugin, type KeyvCachePluginOptions } from '../src/index.ts'
import { EntraStandIn } from './support/entra.ts'
import { isStored } from './support/stored.ts'

const good = () => ({ store: new Keyv(), clientId: 'client' })
const NINETY_DAYS = 90 * 24 * 60 * 60 * 1000

/** As a host without types would call it. */
function make(options: unknown): KeyvCachePlugin {
  return new KeyvCachePlugin(options as KeyvCachePluginOptions)
}

describe('options', () => {
  test.each([
    ['options', undefined],
    ['options', 'redis://…'],
    ['store', { clientId: 'client' }],
    ['store', { ...good(), store: null }],
    ['store is a bare Map', { ...good(), store: new Map() }],
    ['getMany', { ...good(), store: { getRaw() {}, get() {}, set() {}, delete() {}, on() {} } }],
    ['emitErrors', { ...good(), store: new Keyv({ emitErrors: false }) }],
    ['clientId', { store: new Keyv() }],
    ['clientId', { ...good(), clientId: '' }],
    ['clientId', { ...good(), clientId: '  ' }],
    ['clientId', { ...good(), clientId: 7 }],
    ['namespace', { ...good(), namespace: '' }],
    ...[0, -1, Number.NaN, Number.POSITIVE_INFINITY, NINETY_DAYS + 1, '14d'].map((ttl) => [
      'ttl',
      { ...good(), ttl },
    ]),
    ...[0, -1, Number.NaN, Number.POSITIVE_INFINITY].map((ms) => [
      'storeTimeout',
      { ...good(), storeTimeout: ms },
    ]),
    ['keySecret', { ...good(), keySecret: 'short' }],
    ['keySecret', { ...good(), keySecret: 7 }],
    ['encriptionKeys', { ...good(), encriptionKeys: [] }],
  ] as [string, unknown][])('%s is named when it is wrong (%#)', (name, options) => {
    expect(() => make(options)).toThrow(ConfigurationError)
    expect(() => make(options)).toThrow(name)
  })

  test('the longest ttl, undefined members and both majors of Keyv are accepted', () => {
    make({ ...good(), ttl: NINETY_DAYS, namespace: undefined, storeTimeout: undefined, keySecret: undefined })
    make({ ...good(), store: new Keyv6(), keySecret: Buffer.alloc(16) })
  })

  test('a getter cannot change an option between check and use', () => {
    let reads = 0
    const options = {
      store: new Keyv(),
      get clientId() {
        return reads++ === 0 ? 'client' : ''
      },
    }
    new KeyvCachePlugin(options)
    expect(reads).toBe(1)
  })

  test('another keySecret finds no record', async () => {
    const store = new Keyv()
    const entra = new EntraStandIn({ size: 'small' })
    const user = entra.user()
    const [one, two] = (['a', 'b'] as const).map((letter) =>
      make({ ...good(), store, keySecret: letter.repeat(16) }),
    ) as [KeyvCachePlugin, KeyvCachePlugin]
    await entra.signIn(entra.client(one), user)
    expect(await isStored(one, user)).toBe(true)
    expect(await isStored(two, user)).toBe(false)
  })
})
