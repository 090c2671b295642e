import { setImmediate as nextTurn } from 'node:timers/promises'
import { type ICachePlugin, TokenCacheContext } from '@azure/msal-node'
import { beforeAll, describe, expect, test } from 'vitest'
import { acquiredBetween, isBeingEmptied, Turn } from '../../src/msal/memory.ts'
import { emptyCache, parseSerialized } from '../../src/msal/schema.ts'
import { accessTokenOf, accountOf, cacheOf, refreshTokenOf } from '../support/entities.ts'
import { EntraStandIn, type User } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'

const entra = new EntraStandIn({ size: 'small' })
const [alice, bob] = [entra.user(), entra.user()]
let [alices, bobs] = ['', '']

beforeAll(async () => {
  alices = await serializedOf(alice)
  bobs = await serializedOf(bob)
})

/** What MSAL serializes of somebody who signed in. */
async function serializedOf(user: User): Promise<string> {
  const client = entra.client()
  await entra.signIn(client, user)
  return client.getTokenCache().serialize()
}

/** A client, whose plugin does nothing, and what is in its memory. */
function memory(plugin: Partial<ICachePlugin> = {}) {
  const nothing = async () => {}
  const client = entra.client({ beforeCacheAccess: nothing, afterCacheAccess: nothing, ...plugin })
  const cache = client.getTokenCache()
  const contents = () => parseSerialized(cache.serialize())
  return { client, cache, context: new TokenCacheContext(cache, true), contents }
}

test('shows exactly what it is given, and nothing of it comes back', async () => {
  const { context, contents } = memory()
  const turn = await Turn.take(context)
  for (const shown of [alices, bobs, undefined, alices, undefined]) {
    await turn.show(shown)
    expect(contents()).toEqual(shown === undefined ? emptyCache() : parseSerialized(shown))
  }
  turn.release()
})

test('shows what it is given whatever another call has put into memory before', async () => {
  const { cache, context, contents } = memory()
  cache.deserialize(bobs)
  const turn = await Turn.take(context)
  await turn.show(alices)
  expect(contents()).toEqual(parseSerialized(alices))
  turn.release()
})

test('is one at a time on a client, first come, first served', async () => {
  const { context } = memory()
  const order: number[] = []
  const first = await Turn.take(context)
  const others = [1, 2].map(async (number) => {
    const turn = await Turn.take(context)
    order.push(number)
    turn.release()
  })
  const elsewhere = await Turn.take(memory().context)
  elsewhere.release()
  expect(order).toEqual([])
  first.release()
  first.release()
  await Promise.all(others)
  expect(order).toEqual([1, 2])
})

test('without turns, a load takes away what a write has acquired before it is seen', async () => {
  const acquiredDuringALoad = async (Turns: typeof Turn) => {
    const { cache, context } = memory()
    const write = await Turns.take(context)
    await write.beginWrite(undefined)
    cache.deserialize(alices)
    const loading = Turns.take(context).then(async (load) => {
      await load.show(undefined)
      load.release()
    })
    await nextTurn()
    const { acquired } = write.endWrite()
    write.release()
    await loading
    return Object.keys(acquired.RefreshToken)
  }
  expect(await acquiredDuringALoad(Turn)).toHaveLength(1)
  const broken = await mutant<{ Turn: typeof Turn }>('no turns', 'Turn')
  expect(await acquiredDuringALoad(broken.Turn)).toEqual([])
})

test('what is new at the end of a write was acquired, and the marks are gone from it', async () => {
  const { cache, context } = memory()
  const turn = await Turn.take(context)
  await turn.beginWrite(alices)
  cache.deserialize(bobs)
  expect(turn.endWrite()).toEqual({
    all: mergedText(alices, bobs),
    acquired: parseSerialized(bobs),
    isIntact: true,
    hasChanged: true,
  })
  turn.release()
})

test('nothing new was nothing acquired', async () => {
  const { context } = memory()
  const turn = await Turn.take(context)
  await turn.beginWrite(alices)
  const { AppMetadata } = parseSerialized(alices)
  expect(turn.endWrite()).toEqual({
    all: parseSerialized(alices),
    acquired: { ...emptyCache(), AppMetadata },
    isIntact: true,
    hasChanged: false,
  })
  turn.release()
})

test('what was removed is gone from memory that is intact; cleared memory is not', async () => {
  for (const isIntact of [true, false]) {
    const { client, cache, context } = memory()
    const turn = await Turn.take(context)
    await turn.beginWrite(alices)
    const [account = expect.fail('no account')] = await cache.getAllAccounts()
    if (isIntact) await cache.removeAccount(account)
    else client.clearCache()
    const changes = turn.endWrite()
    expect(changes).toMatchObject({ isIntact, all: { Account: {}, RefreshToken: {} } })
    turn.release()
  }
})

test('what is in memory, watched from here on, is not acquired', async () => {
  const { cache, context } = memory()
  cache.deserialize(alices)
  cache.deserialize('')
  const turn = await Turn.take(context)
  turn.watch()
  cache.deserialize(bobs)
  expect(turn.endWrite().acquired).toEqual(parseSerialized(bobs))
  turn.release()
})

test('forgets what a write acquired, and keeps what it was shown', async () => {
  for (const shown of [alices, undefined]) {
    const { cache, context, contents } = memory()
    const turn = await Turn.take(context)
    await turn.beginWrite(shown)
    cache.deserialize(bobs)
    turn.endWrite()
    await turn.forgetAcquired()
    expect(contents()).toEqual(shown === undefined ? emptyCache() : parseSerialized(shown))
    turn.release()
  }
})

test('MSAL asks the plugin while a turn empties this memory, and no other: there is nothing to load', async () => {
  const elsewhere = memory()
  const seen: boolean[][] = []
  const { context } = memory({
    beforeCacheAccess: async (by) => {
      await undefined
      seen.push([isBeingEmptied(by), isBeingEmptied(elsewhere.context)])
    },
  })
  const turn = await Turn.take(context)
  await turn.show(alices)
  seen.length = 0
  await turn.show(bobs)
  expect(seen).toEqual([[true, false]])
  expect(isBeingEmptied(context)).toBe(false)
  turn.release()
})

function mergedText(one: string, other: string): object {
  const [first, second] = [parseSerialized(one), parseSerialized(other)]
  return Object.fromEntries(
    Object.entries(first).map(([section, entities]) => [
      section,
      { ...(entities as object), ...(second[section] as object) },
    ]),
  )
}

describe('what MSAL acquired', () => {
  const before = cacheOf({
    Account: { alice: accountOf('alice'), bob: accountOf('bob') },
    RefreshToken: { alice: refreshTokenOf('alice'), bob: refreshTokenOf('bob') },
  })

  test('nothing new is nothing', () => {
    expect(acquiredBetween(before, before)).toEqual(emptyCache())
    expect(acquiredBetween(before, structuredClone(before))).toEqual(emptyCache())
  })

  test('what is new, or another than before, and the accounts that it is of', () => {
    const fresh = refreshTokenOf('alice', { secret: 'another' })
    const token = accessTokenOf('alice', 'a')
    const after = {
      ...before,
      AccessToken: { token },
      RefreshToken: { ...before.RefreshToken, alice: fresh },
    }
    expect(acquiredBetween(before, after)).toEqual(
      cacheOf({
        Account: { alice: accountOf('alice') },
        AccessToken: { token },
        RefreshToken: { alice: fresh },
      }),
    )
  })

  test('what is gone was not acquired', () => {
    expect(acquiredBetween(before, emptyCache())).toEqual(emptyCache())
  })

  test('app metadata comes along, and makes nothing acquired', () => {
    const AppMetadata = { app: { client_id: 'client', environment: 'login.example' } }
    expect(acquiredBetween(before, { ...before, AppMetadata })).toEqual(cacheOf({ AppMetadata }))
  })
})
