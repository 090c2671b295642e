/** Contenders that keep everybody in one MSAL cache. */
import type { ConfidentialClientApplication, ICachePlugin } from '@azure/msal-node'
import type { EntraStandIn, User } from '../../../test/support/entra.ts'
import { textsOf } from '../stores.ts'
import { accountOf, acquireSilently, type Contender, expectHit, type Parts } from './contender.ts'

/** MSAL without a plugin: the memory of one process. */
export function msalAlone({ entra }: Parts): Contender {
  const client = entra.client()
  return together(entra, client, async (everybody) => client.getTokenCache().deserialize(everybody))
}

/** The plugin of most tutorials: the whole cache under one key. */
export function oneRecord({ entra, store, name }: Parts): Contender {
  const texts = textsOf(store.keyv)
  const plugin: ICachePlugin = {
    async beforeCacheAccess({ tokenCache }) {
      tokenCache.deserialize((await texts.get(name)) ?? '')
    },
    async afterCacheAccess({ tokenCache, cacheHasChanged }) {
      if (cacheHasChanged) await texts.set(name, tokenCache.serialize())
    },
  }
  return together(entra, entra.client(plugin), async (everybody) => void (await texts.set(name, everybody)))
}

function together(
  entra: EntraStandIn,
  client: ConfidentialClientApplication,
  keep: (everybody: string) => Promise<void>,
): Contender {
  return {
    hit: (user) => () => expectHit(acquireSilently(client, user), user),
    refresh: (user) => () => acquireSilently(client, user, { forceRefresh: true }),
    'sign-in': (user) => () => entra.signIn(client, user),
    eviction: (user) => () => client.getTokenCache().removeAccount(accountOf(user)),
    async populate(users, accounts) {
      const caches: string[] = []
      for (const user of users) caches.push(await cacheOf(entra, user))
      await keep(merged([...caches, ...(await others(entra, accounts - users.length))]))
    },
  }
}

/** MSAL's serialized cache after a sign-in. */
export async function cacheOf(entra: EntraStandIn, user: User): Promise<string> {
  const client = entra.client()
  await entra.signIn(client, user)
  return client.getTokenCache().serialize()
}

/** The caches of people who are never served: one person's, under other ids. */
async function others(entra: EntraStandIn, count: number): Promise<string[]> {
  const somebody = entra.user()
  const cache = await cacheOf(entra, somebody)
  return Array.from({ length: count }, (_, n) => {
    const uid = `${n}`.padStart(8, 'f') + somebody.uid.slice(8)
    return cache.replaceAll(somebody.uid, uid)
  })
}

/** One cache with all that is in these. */
function merged(caches: readonly string[]): string {
  const all: Record<string, object> = {}
  for (const cache of caches) {
    for (const [section, entities] of Object.entries(JSON.parse(cache) as Record<string, object>)) {
      all[section] = Object.assign(all[section] ?? {}, entities)
    }
  }
  return JSON.stringify(all)
}
