import type { AccountInfo, ICachePlugin, JsonCache } from '@azure/msal-node'
import * as msal3 from 'msal-node-3'
import { describe, expect, test } from 'vitest'
import type { KeyvLike } from '../../src/index.ts'
import { importCache } from '../../src/migrate/index.ts'
import { acquireSilently, type EntraStandIn, SCOPES, type User } from '../support/entra.ts'
import { importHost, type Library } from '../support/import-host.ts'
import { mutant } from '../support/mutant.ts'
import { storedPartition } from '../support/stored.ts'

describe('refresh tokens that MSAL 3 and later majors wrote under keys of their own are one', () => {
  const clientOf3 = (entra: EntraStandIn, plugin?: ICachePlugin) =>
    new msal3.ConfidentialClientApplication(
      entra.configuration(plugin) as ConstructorParameters<typeof msal3.ConfidentialClientApplication>[0],
    )
  const signInWith3 = (entra: EntraStandIn, user: User, client: ReturnType<typeof clientOf3>) =>
    client.acquireTokenByCode({ code: entra.code(user), redirectUri: 'https://app.example', scopes: SCOPES })

  /** MSAL 3 signed in, and a later major refreshed in the same cache. */
  async function upgraded(entra: EntraStandIn, user: User): Promise<{ old: string; both: string }> {
    const three = clientOf3(entra)
    await signInWith3(entra, user, three)
    const old = three.getTokenCache().serialize()
    const seven = entra.client()
    seven.getTokenCache().deserialize(old)
    await acquireSilently(seven, user.homeAccountId, { forceRefresh: true })
    return { old, both: seven.getTokenCache().serialize() }
  }

  const refreshTokens = async (store: KeyvLike, { homeAccountId }: User) =>
    Object.values((await storedPartition(store, homeAccountId)).RefreshToken).map(({ secret }) => secret)

  test('MSAL itself keeps both', async () => {
    const { entra } = importHost()
    const { both } = await upgraded(entra, entra.user())
    expect(Object.keys((JSON.parse(both) as JsonCache).RefreshToken)).toHaveLength(2)
  })

  test('after an import the older one is gone', async () => {
    const { entra, plugin, store } = importHost()
    const user = entra.user()
    const { old, both } = await upgraded(entra, user)
    const spent = Object.values((JSON.parse(old) as JsonCache).RefreshToken).map(({ secret }) => secret)
    await importCache(plugin, both)
    const kept = await refreshTokens(store.keyv, user)
    expect(kept).toHaveLength(1)
    expect(spent).not.toEqual(kept)
  })

  test('after an import and a refresh the one of MSAL 3 is gone', async () => {
    const { entra, plugin, store, silent } = importHost()
    const user = entra.user()
    const { old } = await upgraded(entra, user)
    await importCache(plugin, old)
    const [before] = await refreshTokens(store.keyv, user)
    await silent(user, true)
    const after = await refreshTokens(store.keyv, user)
    expect(after).toHaveLength(1)
    expect(after).not.toContain(before)
  })

  test('after a refresh by one major of what another one stored, back and forth', async () => {
    const { entra, plugin, store, silent } = importHost()
    const user = entra.user()
    await signInWith3(entra, user, clientOf3(entra, plugin))
    const account = { homeAccountId: user.homeAccountId } as AccountInfo
    const seen = await refreshTokens(store.keyv, user)
    for (const major of [7, 3, 7]) {
      if (major === 7) await silent(user, true)
      else {
        const client = clientOf3(entra, plugin.forAccount(user))
        await client.acquireTokenSilent({ account: account as never, scopes: SCOPES, forceRefresh: true })
      }
      const now = await refreshTokens(store.keyv, user)
      expect(now).toHaveLength(1)
      expect(seen).not.toContain(now[0])
      seen.push(...now)
    }
  })

  test('taken for two, both stay', async () => {
    const broken = await mutant<Library>('refresh tokens told apart by their keys')
    const { entra, plugin, store, silent } = importHost(undefined, broken.KeyvCachePlugin)
    const [one, two] = [entra.user(), entra.user()]
    await broken.importCache(plugin, (await upgraded(entra, one)).both)
    expect(await refreshTokens(store.keyv, one)).toHaveLength(2)
    await broken.importCache(plugin, (await upgraded(entra, two)).old)
    await silent(two, true)
    expect(await refreshTokens(store.keyv, two)).toHaveLength(2)
  })
})
