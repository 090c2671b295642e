import type { ICachePlugin, JsonCache } from '@azure/msal-node'
import { Keyv } from 'keyv'
import { KeyvCachePlugin } from '../../src/index.ts'
import { importCache } from '../../src/migrate/index.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn, type User } from './entra.ts'
import { observe } from './observed-store.ts'

/** What an import needs of the library, which a test may break on purpose. */
export const LIBRARY = { KeyvCachePlugin, importCache }
export type Library = typeof LIBRARY

/** A plugin over a store that is seen, and MSAL's memory to import into it. */
export function importHost(entra = new EntraStandIn({ size: 'small' }), Plugin = KeyvCachePlugin) {
  const map = new Map<string, string>()
  const store = observe(new Keyv({ store: map, useKeyPrefix: false }))
  const plugin = new Plugin({ store: store.keyv, clientId: CLIENT_ID })
  return {
    entra,
    map,
    store,
    plugin,
    /** What one client that signed these users in has in its memory. */
    async blob(...users: User[]): Promise<string> {
      const client = entra.client()
      for (const user of users) await entra.signIn(client, user)
      return client.getTokenCache().serialize()
    },
    silent: (user: User, forceRefresh = false, by: ICachePlugin = plugin.forAccount(user)) =>
      acquireSilently(entra.client(by), user.homeAccountId, { forceRefresh }),
    /** The calls of the store since the last look. */
    calls: () => store.calls(),
  }
}

/** A serialized cache, after a change. */
export function edited(serialized: string, change: (cache: JsonCache) => void): string {
  const cache = JSON.parse(serialized) as JsonCache
  change(cache)
  return JSON.stringify(cache)
}

/** Sets members of all entities of a section. */
export function assignToEach(section: Record<string, object>, members: object): void {
  for (const entity of Object.values(section)) Object.assign(entity, members)
}

/** What of a serialized cache is of one account. */
export function partOf(serialized: string, { homeAccountId }: { homeAccountId: string }): JsonCache {
  const cache = JSON.parse(serialized) as JsonCache
  for (const section of [cache.Account, cache.IdToken, cache.AccessToken, cache.RefreshToken]) {
    for (const [key, entity] of Object.entries(section)) {
      if (entity.home_account_id !== homeAccountId) delete section[key]
    }
  }
  return cache
}

export function idsOf(accounts: readonly { homeAccountId: string }[]): string[] {
  return accounts.map(({ homeAccountId }) => homeAccountId)
}
