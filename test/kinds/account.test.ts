import { TokenCacheContext } from '@azure/msal-node'
import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import { KeyvCachePlugin } from '../../src/index.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn, SCOPES, type User } from '../support/entra.ts'
import { length } from '../support/length.ts'
import { mutant } from '../support/mutant.ts'
import { isStored, storedPartition, storedText } from '../support/stored.ts'

type Plugin = typeof KeyvCachePlugin

function host(entra = new EntraStandIn({ size: 'small' }), Plugin: Plugin = KeyvCachePlugin) {
  const map = new Map<string, string>()
  const keyv = new Keyv({ store: map })
  const plugin = new Plugin({ store: keyv, clientId: CLIENT_ID })
  const signIn = async (user: User) => plugin.openSession(await entra.signIn(entra.client(plugin), user))
  return { entra, map, keyv, plugin, signIn }
}

async function microtasks(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await undefined
}

test('refresh in flight, eviction, new sign-in, response: only the new sign-in is in the store (P3)', async () => {
  const { entra, map, plugin, signIn } = host()
  const user = entra.user()
  const bound = entra.client(plugin.forAccount(await signIn(user)))
  const held = entra.hold(({ grant }) => grant === 'refresh_token')
  const refresh = acquireSilently(bound, user.homeAccountId, { forceRefresh: true })
  const { chain: evicted } = await held.arrived
  await plugin.evictAccount(user.homeAccountId)
  const fresh = await signIn(user)
  held.release()
  await refresh

  const inStore = entra.tokensIn([...map.values()].join())
  expect(inStore.length).toBeGreaterThan(0)
  expect(inStore.filter(({ chain }) => chain === evicted)).toEqual([])
  const again = await acquireSilently(entra.client(plugin.forAccount(fresh)), user.homeAccountId)
  expect(again.fromCache).toBe(true)
})

/**
 * One long-lived bound client, and calls that begin a few microtasks apart, so that the `clear()` with which MSAL
 * begins each falls between another's load and commit. @returns in how many rounds the record lost the account
 */
async function staggeredRounds(rounds: number, Plugin: Plugin): Promise<number> {
  let lost = 0
  for (let round = 0; round < rounds; round++) {
    const { entra, keyv, plugin, signIn } = host(undefined, Plugin)
    const user = entra.user()
    const client = entra.client(plugin.forAccount(await signIn(user)))
    await Promise.allSettled(
      Array.from({ length: 30 }, async (_, index) => {
        await microtasks(index * (1 + (round % 7)))
        // Different scopes: MSAL answers equal calls of one client by a single one.
        return acquireSilently(client, user.homeAccountId, { scopes: [`s${index}`], forceRefresh: true })
      }),
    )
    const text = await storedText(keyv, user.homeAccountId)
    const kept = text === '' ? undefined : await storedPartition(keyv, user.homeAccountId)
    const whole =
      kept && Object.keys(kept.Account).length === 1 && Object.keys(kept.RefreshToken).length === 1
    if (!whole) lost++
  }
  return lost
}

test('30 staggered calls on one long-lived client: the account survives every round (P1)', async () => {
  expect(await staggeredRounds(length({ short: 14, long: 200 }), KeyvCachePlugin)).toBe(0)
})

/** A write of a client whose memory another of its calls clears before the commit. @returns what is stored then */
async function clearedDuringAWrite(Plugin: Plugin) {
  const { entra, keyv, plugin, signIn } = host(undefined, Plugin)
  const user = entra.user()
  await signIn(user)
  const binding = plugin.forAccount(user)
  const client = entra.client(binding)
  const context = new TokenCacheContext(client.getTokenCache(), true)
  await binding.beforeCacheAccess(context)
  client.clearCache()
  await binding.afterCacheAccess(context)
  return entra.tokensIn(await storedText(keyv, user.homeAccountId)).map(({ kind }) => kind)
}

test('memory that another call has cleared says nothing of what is gone', async () => {
  expect(await clearedDuringAWrite(KeyvCachePlugin)).toContain('refresh_token')
})

test('taken for whole, it evicts the account', async () => {
  const broken = await mutant('cleared memory taken for whole')
  expect(await clearedDuringAWrite(broken.KeyvCachePlugin)).toEqual([])
})

async function askAgainAfterEviction(Plugin: Plugin) {
  const { entra, plugin, signIn } = host(undefined, Plugin)
  const user = entra.user()
  const client = entra.client(plugin.forAccount(await signIn(user)))
  await acquireSilently(client, user.homeAccountId)
  await plugin.evictAccount(user.homeAccountId)
  return acquireSilently(client, user.homeAccountId)
}

test('an evicted account, asked for again on a client that had loaded it (P2)', async () => {
  await expect(askAgainAfterEviction(KeyvCachePlugin)).rejects.toMatchObject({ errorCode: 'no_tokens_found' })
})

test("with MSAL's private snapshot kept, it comes back", async () => {
  const broken = await mutant("MSAL's snapshot kept")
  expect((await askAgainAfterEviction(broken.KeyvCachePlugin)).fromCache).toBe(true)
})

test('with memory not emptied before a load, it comes back', async () => {
  const kept = await mutant('memory not emptied')
  const { entra, plugin, signIn } = host(undefined, kept.KeyvCachePlugin)
  const user = entra.user()
  const cache = entra.client(plugin.forAccount(await signIn(user))).getTokenCache()
  expect(await cache.getAllAccounts()).toHaveLength(1)
  await plugin.evictAccount(user.homeAccountId)
  expect(await cache.getAllAccounts()).toHaveLength(1)
})

describe('a client that lives on sees nothing of an evicted account, by any call', () => {
  async function afterEviction() {
    const { entra, plugin, signIn } = host()
    const user = entra.user()
    const client = entra.client(plugin.forAccount(await signIn(user)))
    const cache = client.getTokenCache()
    const [account = expect.fail('no account')] = await cache.getAllAccounts()
    await acquireSilently(client, user.homeAccountId)
    await plugin.evictAccount(user.homeAccountId)
    return { entra, plugin, user, client, cache, account, fresh: await signIn(user) }
  }

  test('that lists accounts', async () => {
    const { user, cache } = await afterEviction()
    expect(await cache.getAllAccounts()).toEqual([])
    expect(await cache.getAccountByHomeId(user.homeAccountId)).toBeNull()
    expect(await cache.getAccountByLocalId(user.oid)).toBeNull()
  })

  test.each([false, true])('that asks for a token (forceRefresh: %s)', async (forceRefresh) => {
    const { entra, user, client } = await afterEviction()
    const silent = acquireSilently(client, user.homeAccountId, { forceRefresh })
    await expect(silent).rejects.toMatchObject({ errorCode: 'no_tokens_found' })
    expect(entra.tokenRequests.refresh_token).toBe(0)
  })

  test('that removes the account as it was: the sign-in of now lives on', async () => {
    const { entra, plugin, cache, account, fresh } = await afterEviction()
    await cache.removeAccount(account).catch(() => {})
    expect(await plugin.isSignedIn(fresh)).toBe(true)
    expect(entra.tokensIn(cache.serialize())).toEqual([])
  })
})

test('an eviction outlives the clients and the session that were there before it', async () => {
  const { entra, plugin, signIn } = host()
  const user = entra.user()
  const old = await signIn(user)
  const longLived = entra.client(plugin.forAccount({ homeAccountId: user.homeAccountId }))
  await acquireSilently(longLived, user.homeAccountId)
  await plugin.evictAccount(user.homeAccountId)
  const fresh = await signIn(user)

  for (const client of [longLived, entra.client(plugin.forAccount(old))]) {
    await expect(acquireSilently(client, user.homeAccountId)).rejects.toThrow('no_tokens_found')
  }
  const byId = entra.client(plugin.forAccount({ homeAccountId: user.homeAccountId }))
  expect((await acquireSilently(byId, user.homeAccountId)).fromCache).toBe(true)
  expect((await acquireSilently(entra.client(plugin.forAccount(fresh)), user.homeAccountId)).fromCache).toBe(
    true,
  )
})

test('a sign-in through a plugin bound to an evicted one is refused loudly (P13)', async () => {
  const { entra, plugin, signIn } = host()
  const user = entra.user()
  const client = entra.client(plugin.forAccount(await signIn(user)))
  await plugin.evictAccount(user.homeAccountId)
  await expect(entra.signIn(client, user)).rejects.toThrow(/KeyvCachePlugin itself/)
})

test('a sign-in through a bound plugin that had found nothing is a sign-in', async () => {
  const { entra, plugin } = host()
  const user = entra.user()
  const client = entra.client(plugin.forAccount(user))
  await expect(acquireSilently(client, user.homeAccountId)).rejects.toThrow('no_tokens_found')
  await entra.signIn(client, user)
  expect((await acquireSilently(client, user.homeAccountId)).fromCache).toBe(true)
})

test("another user's sign-in through a bound client goes to that user's record, and out of memory (P1, P12)", async () => {
  const { entra, keyv, plugin, signIn } = host()
  const [alice, bob] = [entra.user(), entra.user()]
  const client = entra.client(plugin.forAccount(await signIn(alice)))
  await entra.signIn(client, bob)
  for (const { homeAccountId } of [alice, bob]) {
    const owners = entra.tokensIn(await storedText(keyv, homeAccountId)).map((token) => token.homeAccountId)
    expect(new Set(owners)).toEqual(new Set([homeAccountId]))
  }
  const memory = JSON.stringify(client.getTokenCache().getKVStore())
  expect(entra.tokensIn(memory).filter((token) => token.homeAccountId !== alice.homeAccountId)).toEqual([])
})

test('a refresh response without id_token and client_info stays with its account, and with nobody else', async () => {
  const entra = new EntraStandIn({ flavour: 'oidc', size: 'small' })
  const { keyv, plugin, signIn } = host(entra)
  const alice = entra.user({ uid: 'Alice' })
  const session = await signIn(alice)
  entra.answers.refresh_token = { omit: ['id_token', 'client_info'] }
  const client = entra.client(plugin.forAccount(session))
  const refreshed = await acquireSilently(client, alice.homeAccountId, { forceRefresh: true })

  const { RefreshToken, AccessToken } = await storedPartition(keyv, alice.homeAccountId)
  expect(Object.keys(RefreshToken)).toHaveLength(1)
  expect(Object.values(AccessToken).map((token) => token.secret)).toContain(refreshed.accessToken)
  expect(Object.values(AccessToken).every((token) => token.home_account_id === 'Alice')).toBe(true)
  const hit = await acquireSilently(entra.client(plugin.forAccount(session)), alice.homeAccountId)
  expect(hit).toMatchObject({ fromCache: true, accessToken: refreshed.accessToken })
  const used = await acquireSilently(entra.client(plugin.forAccount(session)), alice.homeAccountId, {
    forceRefresh: true,
  })
  expect(used.accessToken).not.toBe(refreshed.accessToken)
})

test('such a response after an eviction is stored nowhere (P3)', async () => {
  const entra = new EntraStandIn({ flavour: 'oidc', size: 'small' })
  const { map, plugin, signIn } = host(entra)
  const user = entra.user()
  const client = entra.client(plugin.forAccount(await signIn(user)))
  entra.answers.refresh_token = { omit: ['id_token', 'client_info'] }
  const held = entra.hold(({ grant }) => grant === 'refresh_token')
  const refresh = acquireSilently(client, user.homeAccountId, { forceRefresh: true })
  const { chain } = await held.arrived
  await plugin.evictAccount(user.homeAccountId)
  await signIn(user)
  held.release()
  await refresh
  expect(entra.tokensIn([...map.values()].join()).filter((token) => token.chain === chain)).toEqual([])
})

test("an app token acquired through a bound client never becomes the user's", async () => {
  const { entra, map, plugin, signIn } = host()
  const user = entra.user()
  const client = entra.client(plugin.forAccount(await signIn(user)))
  const app = await client.acquireTokenByClientCredential({
    scopes: ['https://graph.microsoft.com/.default'],
  })
  expect([...map.values()].join()).not.toContain(app?.accessToken)
  const users = await acquireSilently(client, user.homeAccountId, {
    scopes: ['https://graph.microsoft.com/.default'],
  })
  expect(users.accessToken).not.toBe(app?.accessToken)
})

test.each(['the sign-in plugin', 'a bound plugin'])(
  "an on-behalf-of answer through %s never lands in the user's partition",
  async (through) => {
    const { entra, keyv, map, plugin, signIn } = host()
    const user = entra.user()
    const session = await signIn(user)
    const before = await storedText(keyv, user.homeAccountId)
    const client = entra.client(through === 'a bound plugin' ? plugin.forAccount(session) : plugin)
    const oboAssertion = entra.assertion(user)
    const result = await client.acquireTokenOnBehalfOf({ oboAssertion, scopes: SCOPES })
    expect(result?.accessToken).toBeTruthy()
    expect(await storedText(keyv, user.homeAccountId)).toBe(before)
    expect([...map.values()].join()).not.toContain(result?.accessToken)
  },
)

test('removeAccount on a bound client evicts its account and no other', async () => {
  const { entra, plugin, signIn } = host()
  const [alice, bob] = [entra.user(), entra.user()]
  for (const user of [alice, bob]) await signIn(user)
  const cache = entra.client(plugin.forAccount(bob)).getTokenCache()
  const [account = expect.fail('no account')] = await cache.getAllAccounts()
  await cache.removeAccount(account)
  expect(await isStored(plugin, bob)).toBe(false)
  expect(await isStored(plugin, alice)).toBe(true)
})

test('two accounts of one id at two providers are refused, not merged, and a namespace keeps them apart', async () => {
  const one = new EntraStandIn({ flavour: 'oidc', size: 'small' })
  const two = new EntraStandIn({ flavour: 'oidc', authority: 'https://other.example', size: 'small' })
  const { keyv, plugin } = host(one)
  await one.signIn(one.client(plugin), one.user({ uid: 'alice' }))
  const before = await storedText(keyv, 'alice')
  await expect(two.signIn(two.client(plugin), two.user({ uid: 'alice' }))).rejects.toMatchObject({
    code: 'ERR_CONFIGURATION',
    message: expect.stringContaining('namespace'),
  })
  expect(await storedText(keyv, 'alice')).toBe(before)
  const named = new KeyvCachePlugin({ store: keyv, clientId: CLIENT_ID, namespace: 'other' })
  await two.signIn(two.client(named), two.user({ uid: 'alice' }))
  expect(await isStored(named, 'alice')).toBe(true)
})
