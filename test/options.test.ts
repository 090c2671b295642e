import type { AuthenticationResult } from '@azure/msal-node'
import Keyv from 'keyv'
import { Keyv as Keyv6 } from 'keyv6'
import { describe, expect, test } from 'vitest'
import { ConfigurationError, KeyvCachePlugin, type KeyvCachePluginOptions } from '../src/index.ts'
import { acquireSilently, EntraStandIn } from './support/entra.ts'

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
    const [one, two] = ['a'.repeat(16), 'b'.repeat(16)].map((keySecret) =>
      make({ ...good(), store, keySecret }),
    )
    await entra.signIn(entra.client(one), user)
    expect(await one?.isSignedIn(user)).toBe(true)
    expect(await two?.isSignedIn(user)).toBe(false)
  })
})

describe('home account ids', () => {
  const plugin = make(good())
  const calls: [string, (id: never) => unknown][] = [
    ['forAccount', (id) => plugin.forAccount(id)],
    ['forAccount, as an object', (id) => plugin.forAccount({ homeAccountId: id })],
    ['isSignedIn', (id) => plugin.isSignedIn(id)],
    ['evictAccount', (id) => plugin.evictAccount(id)],
    [
      'openSession',
      (id) => plugin.openSession({ account: { homeAccountId: id } } as unknown as AuthenticationResult),
    ],
  ]
  const bad: [string, unknown][] = [
    ['empty', ''],
    ['a number', 7],
    ['undefined', undefined],
    ['null', null],
    ['too long', 'x'.repeat(1025)],
    ['with a control character', 'secret-id\u0000'],
    ['with a line break', 'secret-id\nx'],
    ['with white space in front', ' secret-id'],
    ['with white space behind', 'secret-id\u00a0'],
  ]
  test.each(calls.flatMap(([name, call]) => bad.map(([what, id]) => [name, what, call, id] as const)))(
    '%s: %s is a TypeError that does not quote it',
    async (_name, _what, call, id) => {
      const error: unknown = await (async () => call(id as never))().catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(TypeError)
      expect((error as Error).message).toMatch(/home ?account ?id/i)
      expect((error as Error).message).not.toContain('secret-id')
    },
  )

  test('a session without its generation, and a result without account, are refused', async () => {
    expect(() => plugin.forAccount({ homeAccountId: 'a', generation: '' })).toThrow(/generation/)
    await expect(plugin.openSession({ account: null } as AuthenticationResult)).rejects.toThrow(/result/)
    await expect(plugin.openSession(undefined as unknown as AuthenticationResult)).rejects.toThrow(TypeError)
  })
})

describe('misuse is loud (P13)', () => {
  const entra = new EntraStandIn({ size: 'small' })
  const plugin = make(good())
  const client = entra.client(plugin)

  test.each([
    ['acquireTokenSilent', /ConfidentialClients.*forAccount/s, () => acquireSilently(client, 'alice')],
    ['getAllAccounts', /ConfidentialClients.*forAccount/s, () => client.getTokenCache().getAllAccounts()],
    [
      'getAccountByHomeId',
      /ConfidentialClients.*forAccount/s,
      () => client.getTokenCache().getAccountByHomeId('alice'),
    ],
    [
      'client credentials',
      /forApp/,
      () => client.acquireTokenByClientCredential({ scopes: ['api/.default'] }),
    ],
  ])('%s on a client that signs users in', async (_, message, call) => {
    await expect(call()).rejects.toThrow(ConfigurationError)
    await expect(call()).rejects.toThrow(message)
  })

  test('removeAccount on the sign-in plugin, which would remove nothing', async () => {
    const user = entra.user()
    const { account } = await entra.signIn(client, user)
    if (account === null) throw new Error('no account')
    await expect(client.getTokenCache().removeAccount(account)).rejects.toThrow(/evictAccount/)
    expect(await plugin.isSignedIn(user)).toBe(true)
  })

  test('a session for a result that is not stored', async () => {
    const elsewhere = await entra.signIn(entra.client(), entra.user())
    await expect(plugin.openSession(elsewhere)).rejects.toThrow(ConfigurationError)
  })

  test('a token cache that is not MSAL Node’s', async () => {
    const context = { cacheHasChanged: true, tokenCache: { serialize: () => '{}', deserialize() {} } }
    await expect(plugin.beforeCacheAccess(context as never)).rejects.toThrow(/msal-node/)
  })
})
