import { Keyv } from 'keyv'
import { beforeAll, describe, expect, test } from 'vitest'
import * as library from '../src/index.ts'
import { ConfidentialClients, ConfigurationError, KeyvCachePlugin, LogoutHandler } from '../src/index.ts'
import { CLIENT_ID, EntraStandIn, SCOPES, TENANT_ID } from './support/entra.ts'
import { otherCopy } from './support/other-copy.ts'

type Library = typeof library

/** A Keyv whose adapter makes a connection, and counts what is asked of it. */
function countingStore() {
  const asked = { connections: 0, listeners: 0 }
  const adapter = Object.assign(new Map<string, unknown>(), {
    getClient: async () => {
      asked.connections++
    },
  })
  const store = new Keyv({ store: adapter })
  const on = store.on.bind(store)
  store.on = (...args) => {
    if (args[0] === 'error') asked.listeners++
    return on(...args)
  }
  return { store, asked }
}

describe.each(['esm', 'cjs'] as const)('two copies in one process, the other as %s', (format) => {
  let other: Library
  beforeAll(async () => {
    other = await otherCopy(format)
  })

  test.each([
    ['a plugin of the other', () => ({ one: other, two: library })],
    ['the other with a plugin of this one', () => ({ one: library, two: other })],
  ])('%s: sign-in, hit, logout callback', async (_, copies) => {
    const { one, two } = copies()
    const entra = new EntraStandIn({ size: 'small' })
    const user = entra.user()
    const plugin = new one.KeyvCachePlugin({ store: new Keyv(), clientId: CLIENT_ID })
    const msal = new two.ConfidentialClients(entra.configuration(), { plugin })
    const { url, pending } = await msal.beginSignIn({ scopes: SCOPES, redirectUri: 'https://app.example/cb' })
    const { session } = await msal.completeSignIn(pending, entra.authorize(url, user))
    expect(await msal.acquireTokenSilent(session, { scopes: SCOPES })).toMatchObject({ fromCache: true })

    const issuer = entra.issuerFor(TENANT_ID)
    for (const holder of [plugin, msal]) expect(() => new one.LogoutHandler(holder, { issuer })).not.toThrow()
    const logout = new two.LogoutHandler(plugin, { issuer })
    const query = new URLSearchParams({ iss: issuer, sid: user.sid ?? '' })
    expect(await logout.handle({ method: 'GET', url: `/?${query}` })).toMatchObject({ result: 'evicted' })
    await expect(msal.acquireTokenSilent(session, { scopes: SCOPES })).rejects.toMatchObject({
      errorCode: 'no_tokens_found',
    })
  })

  test('listen to a store once, and make its first connection once', async () => {
    const { store, asked } = countingStore()
    const plugins = [library, other].map((it) => new it.KeyvCachePlugin({ store, clientId: CLIENT_ID }))
    await Promise.all(plugins.map((plugin) => plugin.checkStore()))
    expect(asked).toEqual({ connections: 1, listeners: 1 })
  })
})

test('another version: its plugin is refused by name', async () => {
  const other = await otherCopy('cjs', { mutant: 'another version' })
  const plugin = new other.KeyvCachePlugin({ store: new Keyv(), clientId: CLIENT_ID })
  const message = /^plugin is used by msal-keyv 0\.0\.1, and this is msal-keyv \d/
  const issuer = 'https://op.example'
  expect(() => new LogoutHandler(plugin, { issuer })).toThrow(message)
  expect(() => new LogoutHandler(plugin, { issuer })).toThrow(ConfigurationError)
  const auth = { clientId: CLIENT_ID, clientSecret: 'not a secret' }
  expect(() => new ConfidentialClients({ auth }, { plugin })).toThrow(message)
})

test('another version that keeps the same of a store shares it', async () => {
  const { store, asked } = countingStore()
  const other = await otherCopy('cjs', { mutant: 'another version' })
  for (const it of [library, other]) new it.KeyvCachePlugin({ store, clientId: CLIENT_ID })
  expect(asked.listeners).toBe(1)
})

test('another version that keeps something else of a store is refused by name', async () => {
  const store = new Keyv()
  const other = await otherCopy('cjs', { mutant: 'another protocol of the store' })
  new other.KeyvCachePlugin({ store, clientId: CLIENT_ID })
  expect(() => new KeyvCachePlugin({ store, clientId: CLIENT_ID })).toThrow(/^store is used by msal-keyv/)
})

test('without a registered symbol, copies do not know each other', async () => {
  const other = await otherCopy('cjs', { mutant: 'copies do not know each other' })
  const { store, asked } = countingStore()
  new KeyvCachePlugin({ store, clientId: CLIENT_ID })
  const plugin = new other.KeyvCachePlugin({ store, clientId: CLIENT_ID })
  expect(asked.listeners).toBe(2)
  expect(() => new LogoutHandler(plugin, { issuer: 'https://op.example' })).toThrow('plugin must be')
})
