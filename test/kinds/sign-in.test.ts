import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import { ConfigurationError, KeyvCachePlugin } from '../../src/index.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'
import { isStored, storedText } from '../support/stored.ts'

describe('40 sign-ins at once on one client', () => {
  async function signInTogether(Plugin: typeof KeyvCachePlugin) {
    const entra = new EntraStandIn({ size: 'small' })
    const keyv = new Keyv()
    const client = entra.client(new Plugin({ store: keyv, clientId: CLIENT_ID }))
    const users = Array.from({ length: 40 }, () => entra.user())
    const results = await Promise.allSettled(users.map((user) => entra.signIn(client, user)))
    const owners = await Promise.all(
      users.map(async ({ homeAccountId }) =>
        entra.tokensIn(await storedText(keyv, homeAccountId)).map((token) => token.homeAccountId),
      ),
    )
    return {
      failed: results.filter(({ status }) => status === 'rejected').length,
      whole: owners.filter((of, n) => of.length === 3 && of.every((id) => id === users[n]?.homeAccountId))
        .length,
      left: entra.tokensIn(client.getTokenCache().serialize()).length,
    }
  }

  test('leave 40 records, each of one account, and nothing in its memory (P1, P12)', async () => {
    expect(await signInTogether(KeyvCachePlugin)).toEqual({ failed: 0, whole: 40, left: 0 })
  })

  test('with memory not emptied, something is left', async () => {
    const broken = await mutant('memory keeps what was acquired')
    expect((await signInTogether(broken.KeyvCachePlugin)).left).toBeGreaterThan(0)
  })
})

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
    expect(await isStored(plugin, user)).toBe(true)
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
