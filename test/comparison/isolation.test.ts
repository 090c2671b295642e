/**
 * What the README says about MSAL Node's own `DistributedCachePlugin` and about this one: each scenario runs
 * against both, and both outcomes are asserted. A failure in a stock half means that MSAL changed, and that the
 * README has to.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { AuthenticationResult, ConfidentialClientApplication as Client } from '@azure/msal-node'
import { describe, expect, test } from 'vitest'
import { acquireSilently, type EntraStandIn, type User } from '../support/entra.ts'
import type { Host } from './host.ts'
import { both, errorCodes, expectRefused, expectSignedOut, kindsIn, LATENCIES, ownersOf } from './setup.ts'

describe('20 people sign in at once on one client', () => {
  const signInTogether = async (entra: EntraStandIn, host: Host, people: User[]) => {
    await Promise.all(people.map((user) => entra.signIn(host.shared, user)))
    const returning = people.map((user) => acquireSilently(host.clientFor(user), user.homeAccountId))
    return { refused: await errorCodes(returning), owners: ownersOf(entra, host) }
  }

  test('stock: one record under one key holds everybody, and 19 are signed out', async () => {
    const { entra, people, stock } = both()
    const { refused, owners } = await signInTogether(entra, stock, people(20))
    expect(owners.map((record) => record.size)).toEqual([20])
    expect(refused).toEqual(Array(19).fill('no_tokens_found'))
  })

  test.each(LATENCIES)('ours: a record for each (%s store)', async (latency) => {
    const { entra, people, keyv } = both(latency)
    const { refused, owners } = await signInTogether(entra, keyv, people(20))
    expect(owners.map((record) => record.size)).toEqual(Array(20).fill(1))
    expect(refused).toEqual([])
  })
})

describe('two people sign in one after the other on one client', () => {
  const signInInTurn = async (entra: EntraStandIn, host: Host, people: User[]) => {
    for (const user of people) await entra.signIn(host.shared, user)
    return ownersOf(entra, host).map((record) => record.size)
  }

  test("stock: the second one's tokens land in the first one's record", async () => {
    const { entra, alice, bob, stock } = both()
    expect(await signInInTurn(entra, stock, [alice, bob])).toEqual([2])
  })

  test('ours: a record for each', async () => {
    const { entra, alice, bob, keyv } = both()
    expect(await signInInTurn(entra, keyv, [alice, bob])).toEqual([1, 1])
  })
})

describe('50 people refresh at once on one client', () => {
  const signInEach = async (entra: EntraStandIn, host: Host, people: User[]) => {
    for (const user of people) await entra.signIn(host.signInClient(), user)
    expect(ownersOf(entra, host).map((record) => record.size)).toEqual(Array(people.length).fill(1))
  }
  const refresh = (host: Host, user: User) =>
    host.serve(user, (client) => acquireSilently(client, user.homeAccountId, { forceRefresh: true }))

  /** No answer is given before all requests are there. */
  const refreshTogether = async (entra: EntraStandIn, host: Host, people: User[]) => {
    const refreshes = people.map((user) => {
      const held = entra.hold(({ homeAccountId }) => homeAccountId === user.homeAccountId)
      return { held, call: refresh(host, user) }
    })
    for (const { held, call } of refreshes) await Promise.race([held.arrived, call.catch(() => {})])
    for (const { held } of refreshes) held.release()
    return inspect(
      entra,
      host,
      refreshes.map(({ call }) => call),
    )
  }

  /** The calls begin a turn of the event loop apart, so that each clears MSAL's memory under the others. */
  const refreshStaggered = async (entra: EntraStandIn, host: Host, people: User[]) => {
    const calls: Promise<AuthenticationResult>[] = []
    for (const user of people) {
      calls.push(refresh(host, user))
      await nextTurn()
    }
    return inspect(entra, host, calls)
  }

  const inspect = async (entra: EntraStandIn, host: Host, calls: Promise<AuthenticationResult>[]) => {
    const settled = await Promise.allSettled(calls)
    const refreshed = settled.flatMap((call) => (call.status === 'fulfilled' ? [call.value] : []))
    const stored = host.partitions().map((text) => entra.tokensIn(text))
    let lost = 0
    for (const { account, accessToken } of refreshed) {
      const homeAccountId = account?.homeAccountId ?? ''
      const later = await acquireSilently(host.clientFor({ homeAccountId }), homeAccountId)
      if (later.accessToken !== accessToken) lost++
    }
    return {
      refused: calls.length - refreshed.length,
      mixed: stored.filter((tokens) => new Set(tokens.map((token) => token.homeAccountId)).size > 1).length,
      refreshable: stored.filter((tokens) => tokens.some(({ kind }) => kind === 'refresh_token')).length,
      lost,
    }
  }

  test("stock: all 50 new refresh tokens go into one person's record, 49 keep the spent ones", async () => {
    const { entra, people, stock } = both()
    const everybody = people(50)
    await signInEach(entra, stock, everybody)
    const outcome = await refreshTogether(entra, stock, everybody)
    expect(outcome).toEqual({ refused: 0, mixed: 1, refreshable: 50, lost: 49 })
  })

  test('ours: the shared client refuses them all, and says what to use', async () => {
    const { entra, people, keyv } = both()
    const everybody = people(50)
    await signInEach(entra, keyv, everybody)
    const before = keyv.partitions()
    const refreshes = everybody.map((user) =>
      acquireSilently(keyv.shared, user.homeAccountId, { forceRefresh: true }),
    )
    await expectRefused(refreshes)
    expect(keyv.partitions()).toEqual(before)
    expect(entra.tokenRequests.refresh_token).toBe(0)
  })

  test.each(LATENCIES)('ours, a client for each: each record gets its own (%s store)', async (latency) => {
    const { entra, people, keyv } = both(latency)
    const everybody = people(50)
    await signInEach(entra, keyv, everybody)
    const outcome = await refreshTogether(entra, keyv, everybody)
    expect(outcome).toEqual({ refused: 0, mixed: 0, refreshable: 50, lost: 0 })
  })

  test.each(LATENCIES)(
    'stock, a turn apart: tokens of others in many records (%s store)',
    async (latency) => {
      const { entra, people, stock } = both(latency)
      const everybody = people(50)
      await signInEach(entra, stock, everybody)
      const outcome = await refreshStaggered(entra, stock, everybody)
      expect(outcome.mixed).toBeGreaterThan(10)
      expect(outcome.lost).toBeGreaterThan(10)
    },
  )

  test.each(LATENCIES)('ours, a client for each, a turn apart: the same (%s store)', async (latency) => {
    const { entra, people, keyv } = both(latency)
    const everybody = people(50)
    await signInEach(entra, keyv, everybody)
    const outcome = await refreshStaggered(entra, keyv, everybody)
    expect(outcome).toEqual({ refused: 0, mixed: 0, refreshable: 50, lost: 0 })
  })
})

describe('removeAccount on a client that also serves others', () => {
  const signOut = async (entra: EntraStandIn, host: Host, alice: User, bob: User) => {
    for (const user of [alice, bob]) await entra.signIn(host.signInClient(), user)
    await host.serve(alice, (client) => acquireSilently(client, alice.homeAccountId))
    await host.serve(bob, (client) => removeAccount(client, bob))
  }

  test('stock: the account stays in the store, and a new client gets its token', async () => {
    const { entra, alice, bob, stock } = both()
    await signOut(entra, stock, alice, bob)
    expect(kindsIn(entra, stock, bob)).toContain('refresh_token')
    expect((await acquireSilently(stock.clientFor(bob), bob.homeAccountId)).fromCache).toBe(true)
  })

  test('ours: the shared client refuses it, and names what evicts', async () => {
    const { entra, alice, bob, keyv } = both()
    await entra.signIn(keyv.shared, alice)
    const { account } = await entra.signIn(keyv.shared, bob)
    if (account === null) throw new Error('the sign-in names no account')
    const cache = keyv.shared.getTokenCache()
    await expect(cache.removeAccount(account)).rejects.toMatchObject({
      code: 'ERR_CONFIGURATION',
      message: expect.stringContaining('plugin.evictAccount'),
    })
    await expectRefused([cache.getAllAccounts()])
    for (const user of [alice, bob]) {
      expect((await acquireSilently(keyv.clientFor(user), user.homeAccountId)).fromCache).toBe(true)
    }
  })

  test('ours, on a client for the request: the account is gone, the other one untouched', async () => {
    const { entra, alice, bob, keyv } = both()
    await signOut(entra, keyv, alice, bob)
    expect(kindsIn(entra, keyv, bob)).toEqual([])
    await expectSignedOut(keyv, bob)
    expect((await acquireSilently(keyv.clientFor(alice), alice.homeAccountId)).fromCache).toBe(true)
  })
})

describe("removeAccount of a client's only account", () => {
  const signOut = async (entra: EntraStandIn, host: Host, alice: User) => {
    await entra.signIn(host.signInClient(), alice)
    await removeAccount(host.clientFor(alice), alice)
    return host.partitions()
  }

  test('stock: a husk without tokens stays for ever', async () => {
    const { entra, alice, stock } = both()
    const husks = await signOut(entra, stock, alice)
    expect(husks.map((husk) => JSON.parse(husk))).toMatchObject([
      { Account: {}, IdToken: {}, AccessToken: {}, RefreshToken: {} },
    ])
    expect(kindsIn(entra, stock, alice)).toEqual([])
  })

  test('ours: the record is deleted', async () => {
    const { entra, alice, keyv } = both()
    expect(await signOut(entra, keyv, alice)).toEqual([])
    expect(kindsIn(entra, keyv, alice)).toEqual([])
  })
})

async function removeAccount(client: Client, user: User): Promise<void> {
  const account = await client.getTokenCache().getAccountByHomeId(user.homeAccountId)
  expect(account).not.toBeNull()
  if (account) await client.getTokenCache().removeAccount(account)
}
