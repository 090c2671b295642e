import { type ICachePlugin, TokenCacheContext } from '@azure/msal-node'
import { describe, expect, test } from 'vitest'
import { ConfigurationError, KeyvCachePlugin } from '../../src/index.ts'
import { acquireSilently, CLIENT_ID, type EntraStandIn } from '../support/entra.ts'
import { importHost } from '../support/import-host.ts'
import { mutant } from '../support/mutant.ts'
import { isStored } from '../support/stored.ts'

const KINDS: [kind: string, of: (plugin: KeyvCachePlugin, entra: EntraStandIn) => ICachePlugin][] = [
  ['the plugin itself', (plugin) => plugin],
  ['forAccount', (plugin) => plugin.forAccount({ homeAccountId: 'alice' })],
  ['forApp', (plugin) => plugin.forApp('contoso.example')],
  ['forAssertion', (plugin, entra) => plugin.forAssertion(entra.assertion(entra.user()))],
  ['forLongRunningProcess', (plugin) => plugin.forLongRunningProcess('a session key')],
]

/** A client's memory with somebody in it, and the context of a call that changed it. */
async function changedCache(entra: EntraStandIn) {
  const client = entra.client()
  await entra.signIn(client, entra.user())
  return new TokenCacheContext(client.getTokenCache() as never, true)
}

describe('a changed cache that no load came before is an error that names importCache', () => {
  test.each(KINDS)('%s', async (_, of) => {
    const { entra, plugin, map } = importHost()
    const storing = of(plugin, entra).afterCacheAccess(await changedCache(entra))
    await expect(storing).rejects.toBeInstanceOf(ConfigurationError)
    await expect(storing).rejects.toThrow(/beforeCacheAccess.*importCache\(plugin, serialized\)/)
    expect(map.size).toBe(0)
  })

  test('also where failures of the store are only reported', async () => {
    const { entra, store } = importHost()
    const options = { store: store.keyv, clientId: CLIENT_ID, onCommitFailure: 'report' } as const
    const bound = new KeyvCachePlugin(options).forAccount({ homeAccountId: 'alice' })
    const storing = bound.afterCacheAccess(await changedCache(entra))
    await expect(storing).rejects.toBeInstanceOf(ConfigurationError)
  })

  test('and was silent before', async () => {
    const broken = await mutant('callbacks out of order go unnoticed')
    const { entra, plugin, map } = importHost(undefined, broken.KeyvCachePlugin)
    await plugin.afterCacheAccess(await changedCache(entra))
    expect(map.size).toBe(0)
  })
})

describe('there is no such error', () => {
  test.each(KINDS)('for an unchanged cache (%s)', async (_, of) => {
    const { entra, plugin } = importHost()
    const { tokenCache } = await changedCache(entra)
    await of(plugin, entra).afterCacheAccess(new TokenCacheContext(tokenCache, false))
  })

  test.each([true, false])(
    'after a load that failed, which says so itself (changed: %s)',
    async (changed) => {
      const { entra, plugin, store, map } = importHost()
      const user = entra.user()
      await entra.signIn(entra.client(plugin), user)
      const before = new Map(map)
      store.calls()
      const failing = () => store.before('read', () => Promise.reject(new Error('the store fails')))
      const bound = plugin.forAccount(user)
      const client = entra.client(bound)
      if (changed) {
        const context = new TokenCacheContext(client.getTokenCache() as never, true)
        failing()
        await expect(bound.beforeCacheAccess(context)).rejects.toMatchObject({
          code: 'ERR_STORE_UNAVAILABLE',
        })
        await bound.afterCacheAccess(context)
      } else {
        failing()
        await expect(acquireSilently(client, user.homeAccountId)).rejects.toMatchObject({
          code: 'ERR_STORE_UNAVAILABLE',
        })
      }
      expect(store.calls()).toEqual(['read'])
      expect(map).toEqual(before)
    },
  )

  test('where MSAL says that the cache has changed only because of the load', async () => {
    const { entra, plugin } = importHost()
    const user = entra.user()
    await entra.signIn(entra.client(plugin), user)
    const bound = plugin.forAccount(user)
    const context = new TokenCacheContext(entra.client().getTokenCache() as never, false)
    await bound.beforeCacheAccess(context)
    Object.defineProperty(context, 'cacheHasChanged', { value: true })
    await bound.afterCacheAccess(context)
    expect((await acquireSilently(entra.client(bound), user.homeAccountId)).fromCache).toBe(true)
  })
})

test("both callbacks around MSAL's deserialize still store what it holds", async () => {
  const { entra, plugin, blob } = importHost()
  const user = entra.user()
  const serialized = await blob(user)
  const cache = entra.client().getTokenCache()
  const context = new TokenCacheContext(cache as never, true)
  await plugin.beforeCacheAccess(context)
  cache.deserialize(serialized)
  await plugin.afterCacheAccess(context)
  expect(await isStored(plugin, user)).toBe(true)
})
