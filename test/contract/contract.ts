import type { AccountInfo } from '@azure/msal-node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AccountRef, type HostSession, KeyvCachePlugin, type KeyvLike } from '../../src/index.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn } from '../support/entra.ts'
import { type ObservedStore, observe } from '../support/observed-store.ts'
import { missingProgram } from '../support/programs.ts'
import { isStored, storedPartition, storedText } from '../support/stored.ts'
import type { ContractStore } from './contract-store.ts'

/** The promises, with real MSAL Node, over one store. */
export function contract(store: ContractStore): void {
  describe.skipIf(missingProgram(...store.programs))(`the promises over ${store.name}`, () => {
    let here: ObservedStore
    let elsewhere: KeyvLike

    beforeAll(async () => {
      await store.start()
      here = observe(await store.open())
      elsewhere = await store.open()
    }, 60_000)
    afterAll(() => store.stop())

    function host(entra = new EntraStandIn()) {
      const plugin = new KeyvCachePlugin({ store: here.keyv, clientId: CLIENT_ID })
      const other = new KeyvCachePlugin({ store: elsewhere, clientId: CLIENT_ID })
      const user = entra.user()
      return {
        entra,
        user,
        plugin,
        /** The same host in another process. */
        other,
        signIn: async (of = user): Promise<HostSession> =>
          plugin.openSession(await entra.signIn(entra.client(plugin), of)),
        bound: (account: HostSession | AccountRef, by = plugin) => entra.client(by.forAccount(account)),
        text: (id = user.homeAccountId) => storedText(here.keyv, id),
      }
    }

    describe('what it costs (P10)', () => {
      const unproven = test.runIf(store.isUnproven)
      const proven = test.skipIf(store.isUnproven)
      const hitCalls = store.isUnproven ? ['read', 'read', 'read'] : ['read']

      unproven('an adapter that is not proven: silent hit 3 store calls, eviction 8', async () => {
        const { user, plugin, signIn, bound } = host()
        await signIn()
        here.calls()
        await acquireSilently(bound(user), user.homeAccountId)
        expect(here.calls()).toEqual(hitCalls)
        await plugin.evictAccount(user.homeAccountId)
        expect(here.calls()).toEqual(['write', 'read', 'read', 'read', 'read', 'delete', 'read', 'read'])
      })

      proven('sign-in 2 store calls, silent hit 1, refresh 3, eviction 3', async () => {
        const { entra, user, plugin, bound } = host()
        await isStored(plugin, user.homeAccountId)
        here.calls()

        await entra.signIn(entra.client(plugin), user)
        expect(here.calls()).toEqual(['read', 'write'])
        const session = { homeAccountId: user.homeAccountId }

        const hit = await acquireSilently(bound(session), user.homeAccountId)
        expect(hit.fromCache).toBe(true)
        expect(here.calls()).toEqual(['read'])

        const refreshed = await acquireSilently(bound(session), user.homeAccountId, {
          forceRefresh: true,
        })
        expect(refreshed.fromCache).toBe(false)
        expect(here.calls()).toEqual(['read', 'read', 'write'])

        await plugin.evictAccount(user.homeAccountId)
        expect(here.calls()).toEqual(['write', 'read', 'delete'])
      })

      test('a silent hit touches no other account, and a refresh writes one', async () => {
        const { entra, user, signIn, bound } = host()
        const others = Array.from({ length: 20 }, () => entra.user())
        for (const other of [user, ...others]) await signIn(other)
        const before = await Promise.all(others.map((other) => storedText(here.keyv, other.homeAccountId)))
        here.calls()
        await acquireSilently(bound(user), user.homeAccountId)
        expect(here.calls()).toEqual(hitCalls)
        await acquireSilently(bound(user), user.homeAccountId, { forceRefresh: true })
        const after = await Promise.all(others.map((other) => storedText(here.keyv, other.homeAccountId)))
        expect(after).toEqual(before)
      })
    })

    describe('isolation (P1)', () => {
      test('20 concurrent sign-ins on one client make 20 records, each of one account', async () => {
        const { entra, plugin } = host()
        const users = Array.from({ length: 20 }, () => entra.user())
        const client = entra.client(plugin)
        await Promise.all(users.map((user) => entra.signIn(client, user)))
        for (const { homeAccountId } of users) {
          const owners = entra.tokensIn(await storedText(here.keyv, homeAccountId))
          expect(owners.map((token) => token.homeAccountId)).toEqual(Array(3).fill(homeAccountId))
        }
      })

      test('concurrent refreshes of one account lose no token', async () => {
        const { entra, user, signIn, bound } = host()
        const session = await signIn()
        const scopes = ['a', 'b', 'c', 'd'].map((name) => `api://${name}/read`)
        await Promise.all(
          scopes.map((scope) => acquireSilently(bound(session), user.homeAccountId, { scopes: [scope] })),
        )
        const { AccessToken } = await storedPartition(here.keyv, user.homeAccountId)
        const targets = Object.values(AccessToken).map((token) => token.target)
        for (const scope of scopes) expect(targets.some((target) => target.includes(scope))).toBe(true)
        expect(entra.tokensIn(await storedText(here.keyv, user.homeAccountId)).length).toBeGreaterThan(5)
      })
    })

    describe('mirror (P2)', () => {
      test('memory holds the partition and nothing else', async () => {
        const { entra, user, plugin, signIn } = host()
        const session = await signIn()
        await signIn(entra.user())
        const client = entra.client(plugin.forAccount(session))
        await acquireSilently(client, user.homeAccountId)
        const cache = client.getTokenCache()
        expect(JSON.parse(cache.serialize())).toEqual(await storedPartition(here.keyv, user.homeAccountId))
      })

      test('absent in the store is absent in memory', async () => {
        const { entra, user, plugin, signIn } = host()
        const client = entra.client(plugin.forAccount(await signIn()))
        await acquireSilently(client, user.homeAccountId)
        await plugin.evictAccount(user.homeAccountId)
        expect(await client.getTokenCache().getAllAccounts()).toEqual([])
        expect(entra.tokensIn(JSON.stringify(client.getTokenCache().getKVStore()))).toEqual([])
      })
    })

    describe('eviction', () => {
      test('ends silent calls in every process, with the error of MSAL that means "sign in again" (P3)', async () => {
        const { user, plugin, other, signIn, bound } = host()
        const session = await signIn()
        expect((await acquireSilently(bound(session, other), user.homeAccountId)).fromCache).toBe(true)

        const eviction = await plugin.evictAccount(user.homeAccountId)
        expect(eviction).toEqual({
          homeAccountId: user.homeAccountId,
          evictedAt: expect.any(Date),
          existed: true,
        })
        for (const by of [plugin, other]) {
          await expect(acquireSilently(bound(session, by), user.homeAccountId)).rejects.toMatchObject({
            errorCode: 'no_tokens_found',
          })
          expect(await by.isSignedIn(session)).toBe(false)
        }
      })

      test('leaves nothing of the tokens in the store (P6), and says when there was nothing (P4)', async () => {
        const { entra, user, plugin, signIn, text } = host()
        await signIn()
        await plugin.evictAccount(user.homeAccountId)
        expect(entra.tokensIn(await text())).toEqual([])
        expect(await plugin.evictAccount(user.homeAccountId)).toMatchObject({ existed: false })
      })

      test('a new sign-in works at once, in every process (P5)', async () => {
        const { user, plugin, other, signIn, bound } = host()
        const old = await signIn()
        await plugin.evictAccount(user.homeAccountId)
        const fresh = await signIn()
        expect(fresh.generation).not.toBe(old.generation)
        expect((await acquireSilently(bound(fresh, other), user.homeAccountId)).fromCache).toBe(true)
        expect(await plugin.isSignedIn(fresh)).toBe(true)
        expect(await plugin.isSignedIn(old)).toBe(false)
        await expect(acquireSilently(bound(old), user.homeAccountId)).rejects.toThrow('no_tokens_found')
      })

      test('holds against a refresh in flight, also when the user has signed in again (P3)', async () => {
        const { entra, user, other, signIn, bound, text } = host()
        const session = await signIn()
        const [chain] = entra.tokensIn(await text()).map((token) => token.chain)
        const held = entra.hold(({ grant }) => grant === 'refresh_token')
        const refresh = acquireSilently(bound(session), user.homeAccountId, { forceRefresh: true })
        await held.arrived
        await other.evictAccount(user.homeAccountId)
        const fresh = await signIn()
        held.release()
        expect((await refresh).accessToken).not.toBe('')

        const chains = new Set(entra.tokensIn(await text()).map((token) => token.chain))
        expect(chains.size).toBe(1)
        expect(chains.has(chain ?? 0)).toBe(false)
        expect((await acquireSilently(bound(fresh, other), user.homeAccountId)).fromCache).toBe(true)
      })

      test('removeAccount on a bound client is an eviction', async () => {
        const { entra, user, plugin, other, signIn, bound, text } = host()
        const session = await signIn()
        const cache = bound(session).getTokenCache()
        const account = (await cache.getAccountByHomeId(user.homeAccountId)) as AccountInfo
        await cache.removeAccount(account)
        expect(entra.tokensIn(await text())).toEqual([])
        expect(await other.isSignedIn(session)).toBe(false)
        expect(await isStored(plugin, (await signIn()).homeAccountId)).toBe(true)
      })
    })

    describe('accounts of every kind', () => {
      test.each([
        ['entra', 'entra', {}],
        ['a B2C user flow', 'b2c', {}],
        ['OpenID Connect, an id without dot or tenant', 'oidc', { uid: 'alice' }],
        ['OpenID Connect, an id with what keys are made of', 'oidc', { uid: '{a}:b/c-😀' }],
        ['OpenID Connect, an id of 1,000 characters', 'oidc', { uid: 'x'.repeat(1000) }],
      ] as const)('%s: sign in, use, refresh, evict', async (_, flavour, person) => {
        const entra = new EntraStandIn({ flavour })
        const { plugin, bound, signIn, text } = host(entra)
        const user = entra.user(person)
        const session = await signIn(user)
        expect(session.homeAccountId).toBe(user.homeAccountId)
        expect((await acquireSilently(bound(session), user.homeAccountId)).fromCache).toBe(true)
        await acquireSilently(bound(session), user.homeAccountId, { forceRefresh: true })
        expect((await acquireSilently(bound(session), user.homeAccountId)).fromCache).toBe(true)
        await plugin.evictAccount(user.homeAccountId)
        expect(entra.tokensIn(await text(user.homeAccountId))).toEqual([])
      })

      test('a guest of two tenants keeps the profiles of all', async () => {
        const { entra, user, signIn, bound } = host()
        const session = await signIn()
        const others = ['11111111-2222-4333-8444-555555555551', '11111111-2222-4333-8444-555555555552']
        for (const tid of others) {
          await signIn(entra.user({ ...user, tid }))
        }
        const accounts = await bound(session).getTokenCache().getAllAccounts()
        expect(accounts.map((account) => account.tenantId).sort()).toEqual([user.tid, ...others].sort())
      })
    })

    test('another application on the same store sees nothing', async () => {
      const { user, signIn } = host()
      await signIn()
      const foreign = new KeyvCachePlugin({ store: here.keyv, clientId: 'another' })
      const named = new KeyvCachePlugin({ store: here.keyv, clientId: CLIENT_ID, namespace: 'eu' })
      expect(await isStored(foreign, user.homeAccountId)).toBe(false)
      expect(await isStored(named, user.homeAccountId)).toBe(false)
    })

    test('a client that signs users in holds nothing of them (P12), and reads nothing (P13)', async () => {
      const { entra, user, plugin } = host()
      const client = entra.client(plugin)
      await entra.signIn(client, user)
      expect(entra.tokensIn(client.getTokenCache().serialize())).toEqual([])
      await expect(acquireSilently(client, user.homeAccountId)).rejects.toThrow(/ConfidentialClients/)
    })
  })
}
