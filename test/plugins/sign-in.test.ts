import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import { ConfigurationError, KeyvCachePlugin } from '../../src/index.ts'
import { acquireSilently, EntraStandIn } from '../support/entra.ts'

describe('misuse is loud (P13)', () => {
  const entra = new EntraStandIn({ size: 'small' })
  const plugin = new KeyvCachePlugin({ store: new Keyv(), clientId: 'client' })
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
