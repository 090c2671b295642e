/** MSAL Node's own `DistributedCachePlugin`, a client for each request. */
import { type AccountInfo, DistributedCachePlugin, type ICacheClient } from '@azure/msal-node'
import { SCOPES, type User } from '../../../test/support/entra.ts'
import { type Texts, textsOf } from '../stores.ts'
import { acquireSilently, type Contender, expectHit, type Parts, REDIRECT_URI } from './contender.ts'

export function onKeyv(parts: Parts): Contender {
  return keyed(parts, textsOf(parts.store.keyv))
}

export function onRedis(parts: Parts): Contender {
  if (parts.store.redis === undefined) throw new Error('there is no Redis to be on')
  return keyed(parts, parts.store.redis)
}

/** The host knows whose record it wants. */
function keyed({ entra, name }: Parts, texts: Texts): Contender {
  const keyOf = ({ homeAccountId }: { homeAccountId: string }) => `${name}:${homeAccountId}`
  const cache = cacheClient(texts)
  const clientFor = (user?: { homeAccountId: string }) =>
    entra.client(
      new DistributedCachePlugin(cache, {
        getKey: async () => (user === undefined ? '' : keyOf(user)),
        extractKey: async (account) => keyOf(account),
      }),
    )
  return {
    hit: (user) => () => expectHit(acquireSilently(clientFor(user), user), user),
    refresh: (user) => () => acquireSilently(clientFor(user), user, { forceRefresh: true }),
    'sign-in': (user) => () => entra.signIn(clientFor(), user),
    // The plugin knows no deletion.
    eviction: (user) => () => texts.delete(keyOf(user)),
  }
}

/** What Microsoft's sample keeps in a session, as far as it matters here. */
interface Session {
  readonly account?: AccountInfo | null
  readonly [name: string]: unknown
}

/**
 * As in Microsoft's sample `auth-code-distributed-cache`: a client is given a session id, finds the account of that
 * session in the session store, which is where the tokens are too, and lists all accounts before it asks for a token.
 */
export function asInSample({ entra, store, name }: Parts): Contender {
  const texts = store.redis ?? textsOf(store.keyv)
  const cache = cacheClient(texts)
  const sessionKeyOf = (id: string) => `${name}:sess:${id}`
  const recordKeyOf = (id: string) => `${name}:${id}`
  /** What the framework would write at the end of the request. That is the same with every host, and not timed. */
  const unwritten = new Map<string, Session>()

  const writeSession = async (id: string) => {
    const session = unwritten.get(id)
    if (session !== undefined) await texts.set(sessionKeyOf(id), JSON.stringify(session))
    unwritten.delete(id)
  }
  const clientFor = async (sessionId: string) => {
    const partitions = {
      async getKey() {
        const { account } = JSON.parse((await cache.get(sessionKeyOf(sessionId))) || '{}') as Session
        return account ? recordKeyOf(account.homeAccountId) : ''
      },
      extractKey: async ({ homeAccountId }: { homeAccountId: string }) => recordKeyOf(homeAccountId),
    }
    const client = entra.client(new DistributedCachePlugin(cache, partitions))
    await client.getTokenCache().getAllAccounts()
    return client
  }
  const silently = async (user: User, options?: { forceRefresh: boolean }) =>
    acquireSilently(await clientFor(user.homeAccountId), user, options)

  return {
    async hit(user) {
      await writeSession(user.homeAccountId)
      return () => expectHit(silently(user), user)
    },
    async refresh(user) {
      await writeSession(user.homeAccountId)
      return () => silently(user, { forceRefresh: true })
    },
    async 'sign-in'(user) {
      const { homeAccountId: id } = user
      const tokenRequest = { redirectUri: REDIRECT_URI, scopes: SCOPES }
      unwritten.set(id, { tokenRequest })
      await writeSession(id)
      return async () => {
        const { account, accessToken } = await entra.signIn(await clientFor(id), user)
        const protectedResources = { graph: { callingRoute: '/graph', accessToken } }
        unwritten.set(id, { isAuthenticated: true, account, tokenRequest, protectedResources })
      }
    },
    eviction: (user) => () => texts.delete(recordKeyOf(user.homeAccountId)),
  }
}

function cacheClient(texts: Texts): ICacheClient {
  return {
    get: async (key) => (await texts.get(key)) ?? '',
    set: async (key, value) => {
      await texts.set(key, value)
      return value
    },
  }
}
