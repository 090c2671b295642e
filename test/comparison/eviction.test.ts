/** The same comparison as in isolation.test.ts, for evictions. */
import type { AuthenticationResult, ConfidentialClientApplication as Client } from '@azure/msal-node'
import { describe, expect, test } from 'vitest'
import { acquireSilently, type EntraStandIn, type User } from '../support/entra.ts'
import type { Host } from './host.ts'
import {
  both,
  chainsOf,
  errorCodes,
  expectEvicted,
  expectRefused,
  expectSignedOut,
  kindsIn,
  ownersOf,
} from './setup.ts'

describe('an eviction while a refresh is in flight', () => {
  /** The refresh has left MSAL when the account is evicted, and is answered when that is done. */
  const evictDuringRefresh = async (
    entra: EntraStandIn,
    refresh: () => Promise<AuthenticationResult>,
    evict: () => Promise<unknown>,
  ) => {
    const held = entra.hold(({ grant }) => grant === 'refresh_token')
    const refreshing = refresh()
    await held.arrived
    await evict()
    held.release()
    return refreshing
  }

  const refreshOn = (client: Client, user: User) => () =>
    acquireSilently(client, user.homeAccountId, { forceRefresh: true })

  describe('on a client made for the request', () => {
    const scenario = async (entra: EntraStandIn, host: Host, alice: User) => {
      await entra.signIn(host.signInClient(), alice)
      return evictDuringRefresh(entra, refreshOn(host.clientFor(alice), alice), () => host.evict(alice))
    }

    test('stock: account and refresh token come back', async () => {
      const { entra, alice, stock } = both()
      const { accessToken } = await scenario(entra, stock, alice)
      expect(kindsIn(entra, stock, alice)).toContain('refresh_token')
      expect((await acquireSilently(stock.clientFor(alice), alice.homeAccountId)).accessToken).toBe(
        accessToken,
      )
    })

    test('ours: they do not; the call in flight still gets its token', async () => {
      const { entra, alice, keyv } = both()
      const { accessToken } = await scenario(entra, keyv, alice)
      expect(entra.ownerOf(accessToken)).toMatchObject({ homeAccountId: alice.homeAccountId })
      await expectEvicted(entra, keyv, alice)
    })
  })

  describe('on a client that lives on', () => {
    const scenario = async (entra: EntraStandIn, host: Host, alice: User) => {
      await entra.signIn(host.signInClient(), alice)
      const client = host.clientFor(alice)
      await acquireSilently(client, alice.homeAccountId)
      await evictDuringRefresh(entra, refreshOn(client, alice), () => host.evict(alice))
      return client
    }

    test('stock: account and refresh token come back', async () => {
      const { entra, alice, stock } = both()
      const client = await scenario(entra, stock, alice)
      expect(kindsIn(entra, stock, alice)).toContain('refresh_token')
      expect((await acquireSilently(client, alice.homeAccountId)).fromCache).toBe(true)
    })

    test('ours: they do not, and the client has forgotten the account', async () => {
      const { entra, alice, keyv } = both()
      const client = await scenario(entra, keyv, alice)
      await expectEvicted(entra, keyv, alice)
      expect(await errorCodes([acquireSilently(client, alice.homeAccountId)])).toEqual(['no_tokens_found'])
      expect(await client.getTokenCache().getAllAccounts()).toEqual([])
    })

    test('stock: with nothing in flight, the client still lists the evicted account', async () => {
      const { entra, alice, stock } = both()
      expect(await accountsAfterIdleEviction(entra, stock, alice)).toHaveLength(1)
    })

    test('ours: with nothing in flight, it does not', async () => {
      const { entra, alice, keyv } = both()
      expect(await accountsAfterIdleEviction(entra, keyv, alice)).toEqual([])
    })

    const accountsAfterIdleEviction = async (entra: EntraStandIn, host: Host, alice: User) => {
      await entra.signIn(host.signInClient(), alice)
      const client = host.clientFor(alice)
      await acquireSilently(client, alice.homeAccountId)
      await host.evict(alice)
      return client.getTokenCache().getAllAccounts()
    }
  })

  describe('on a client that everybody shares', () => {
    const scenario = async (entra: EntraStandIn, host: Host, alice: User) => {
      await entra.signIn(host.signInClient(), alice)
      await evictDuringRefresh(
        entra,
        () => host.serve(alice, (client) => refreshOn(client, alice)()),
        () => host.evict(alice),
      )
    }

    test('stock: account and refresh token come back', async () => {
      const { entra, alice, stock } = both()
      await scenario(entra, stock, alice)
      expect(kindsIn(entra, stock, alice)).toContain('refresh_token')
    })

    test('ours: there is none, for such a client refuses to refresh', async () => {
      const { entra, alice, keyv } = both()
      await entra.signIn(keyv.shared, alice)
      await expectRefused([refreshOn(keyv.shared, alice)()])
      await keyv.evict(alice)
      await expectEvicted(entra, keyv, alice)
    })
  })

  describe('by another process', () => {
    const scenario = async (entra: EntraStandIn, host: Host, other: Host, alice: User) => {
      await entra.signIn(host.signInClient(), alice)
      return evictDuringRefresh(entra, refreshOn(host.clientFor(alice), alice), () => other.evict(alice))
    }

    test('stock: account and refresh token come back, for the other process too', async () => {
      const { entra, alice, stock } = both()
      const other = stock.anotherProcess()
      await scenario(entra, stock, other, alice)
      expect(kindsIn(entra, stock, alice)).toContain('refresh_token')
      expect((await acquireSilently(other.clientFor(alice), alice.homeAccountId)).fromCache).toBe(true)
    })

    test('ours: they do not', async () => {
      const { entra, alice, keyv } = both()
      const other = keyv.anotherProcess()
      await scenario(entra, keyv, other, alice)
      await expectEvicted(entra, keyv, alice)
      await expectSignedOut(other, alice)
    })
  })

  describe('by another process, where the user then signs in again', () => {
    const scenario = async (entra: EntraStandIn, host: Host, alice: User) => {
      await entra.signIn(host.signInClient(), alice)
      const other = host.anotherProcess()
      await evictDuringRefresh(entra, refreshOn(host.clientFor(alice), alice), async () => {
        await other.evict(alice)
        await entra.signIn(other.signInClient(), alice)
      })
      return host.partitions().flatMap((text) => entra.tokensIn(text))
    }

    test("stock: the evicted sign-in's tokens replace the new one's", async () => {
      const { entra, alice, stock } = both()
      expect(chainsOf(await scenario(entra, stock, alice))).toEqual([1])
    })

    test('ours: the new sign-in keeps its own', async () => {
      const { entra, alice, keyv } = both()
      const stored = await scenario(entra, keyv, alice)
      expect(chainsOf(stored)).toEqual([2])
      expect(stored.map(({ kind }) => kind)).toContain('refresh_token')
      expect((await acquireSilently(keyv.clientFor(alice), alice.homeAccountId)).fromCache).toBe(true)
    })
  })
})

describe('somebody signs in on the shared client after the eviction of an account that it served', () => {
  const scenario = async (entra: EntraStandIn, host: Host, alice: User, bob: User) => {
    await entra.signIn(host.signInClient(), alice)
    await host.serve(alice, (client) => acquireSilently(client, alice.homeAccountId))
    await host.evict(alice)
    await entra.signIn(host.shared, bob)
    return ownersOf(entra, host)
  }

  test("stock: the evicted record is back, with both people's tokens", async () => {
    const { entra, alice, bob, stock } = both()
    const owners = await scenario(entra, stock, alice, bob)
    expect(owners).toEqual([new Set([alice.homeAccountId, bob.homeAccountId])])
    expect((await acquireSilently(stock.clientFor(alice), alice.homeAccountId)).fromCache).toBe(true)
  })

  test('ours: only the new one is stored', async () => {
    const { entra, alice, bob, keyv } = both()
    expect(await scenario(entra, keyv, alice, bob)).toEqual([new Set([bob.homeAccountId])])
    await expectEvicted(entra, keyv, alice)
  })
})
