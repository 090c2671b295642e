/** Each contender does what it is measured for: else its figures would be of something else. */
import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import { CONTENDER_NAMES, CONTENDERS, type ContenderName } from '../../bench/contenders.ts'
import { makers } from '../../bench/worker/contenders/index.ts'
import { Counter, CountingMap } from '../../bench/worker/counter.ts'
import { Entry, makeUsers } from '../../bench/worker/entry.ts'
import { loadLibrary } from '../../bench/worker/library.ts'
import { type Store, textsOf } from '../../bench/worker/stores.ts'
import { time } from '../../bench/worker/turn.ts'
import { generateEncryptionKey } from '../../src/index.ts'
import { signingKey } from '../logout/provider.ts'
import { EntraStandIn } from '../support/entra.ts'

async function contender(name: ContenderName, sealed = false) {
  const entra = new EntraStandIn()
  const counter = new Counter()
  const map = new CountingMap(counter)
  const keyv = counter.countingCalls(new Keyv({ store: map }))
  const store = { keyv, redis: textsOf(keyv) } as Store
  const made = makers[name]({
    library: await loadLibrary('src'),
    entra,
    store,
    name,
    encryptionKeys: sealed ? [generateEncryptionKey()] : undefined,
    signingKey: () => signingKey('bench'),
  })
  const [alice, bob] = [entra.user(), entra.user()]
  const run = async (operation: 'hit' | 'refresh' | 'sign-in' | 'eviction', user = alice) =>
    (await made[operation]?.(user))?.()
  return { entra, counter, map, made, alice, bob, run }
}

describe.each(CONTENDER_NAMES)('%s', (name) => {
  test('signs in, hits, refreshes and evicts, each account for itself', async () => {
    const { entra, bob, run } = await contender(name)
    await expect(run('hit')).rejects.toThrow()
    await run('sign-in')
    await run('sign-in', bob)
    await run('hit')
    expect(entra.tokenRequests.refresh_token).toBe(0)
    await run('refresh')
    expect(entra.tokenRequests.refresh_token).toBe(1)
    await run('hit')
    await run('eviction')
    await expect(run('hit')).rejects.toThrow()
    await run('hit', bob)
  })

  test('serves those whom it was populated with', async () => {
    const { entra, made, run, alice } = await contender(name)
    if (made.populate === undefined) await run('sign-in')
    else await made.populate([alice], 3)
    await run('hit')
    expect(entra.tokenRequests.authorization_code).toBe(made.populate === undefined ? 1 : 2)
  })
})

test.each([
  ['msal', 0],
  ['blob', 1],
  ['microsoft-sample', 4],
  ['microsoft', 1],
  ['plugin', 1],
  ['clients', 1],
] as const)('%s asks its store %s times for a hit', async (name, calls) => {
  const { counter, run } = await contender(name)
  await run('sign-in')
  await run('hit')
  counter.reset()
  await run('hit')
  expect(counter.calls).toBe(calls)
  expect(counter.bytes > 5_000).toBe(calls > 0)
})

test.each(CONTENDER_NAMES.filter((name) => CONTENDERS[name].seals))(
  '%s seals where it says so',
  async (name) => {
    const { entra, map, run } = await contender(name, true)
    await run('sign-in')
    await run('hit')
    const stored = [...map.values()].join('\n')
    expect(stored.length).toBeGreaterThan(5_000)
    expect(entra.tokensIn(stored)).toEqual([])
  },
)

test.each(['front-channel', 'back-channel'] as const)('a %s logout ends the sign-in', async (channel) => {
  const { made, run, alice } = await contender('clients')
  await run('sign-in')
  const callback = await made[channel]?.(alice)
  await callback?.()
  await expect(run('hit')).rejects.toThrow()
  await expect(callback?.()).rejects.toThrow('the logout callback ended in')
})

describe('a turn', () => {
  test('leaves as many signed in as before, whatever it does', async () => {
    const { entra, made } = await contender('clients')
    const users = makeUsers(entra, 3)
    const entry = new Entry(made, users)
    await entry.populate(3)
    for (const operation of ['eviction', 'sign-in', 'front-channel'] as const) {
      await entry.turn(operation, 1, 1)
      for (const user of users) await (await made.hit(user))()
    }
  })

  test('has so many calls in flight, and times each', async () => {
    let [inFlight, most] = [0, 0]
    const call = async () => {
      most = Math.max(most, ++inFlight)
      await Promise.resolve()
      inFlight--
    }
    const { latencies } = await time(
      Array.from({ length: 10 }, () => call),
      3,
    )
    expect(most).toBe(3)
    expect([...latencies].every((latency) => latency > 0)).toBe(true)
  })
})
