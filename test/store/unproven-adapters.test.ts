import { setImmediate as turn } from 'node:timers/promises'
import Keyv from 'keyv'
import { Keyv as Keyv6 } from 'keyv6'
import { describe, expect, test } from 'vitest'
import { StoreUnavailableError } from '../../src/index.ts'
import { isProven, type KeyvLike } from '../../src/store/adapter.ts'
import { KeyvStore } from '../../src/store/keyv-store.ts'
import { AwkwardAdapter, type AwkwardOptions } from '../support/awkward-adapter.ts'
import { mutant } from '../support/mutant.ts'
import { observe } from '../support/observed-store.ts'

const MAJORS: [string, (adapter: object) => KeyvLike][] = [
  ['Keyv 5', (adapter) => new Keyv({ store: adapter, namespace: '', useKeyPrefix: false })],
  ['Keyv 6', (adapter) => new Keyv6({ store: adapter as never, namespace: '' })],
]

const HABITS: [string, AwkwardOptions][] = [
  ['hides a failed batch read', { failures: 'thrown' }],
  ['hides every failure', { failures: 'swallowed' }],
  ['hides every failure, and emits it too late', { failures: 'swallowed', emitsLate: true }],
]

/** With what it still had to say about the outage said. */
async function up(adapter: AwkwardAdapter): Promise<void> {
  adapter.down = false
  await turn()
  await turn()
}

describe.each(MAJORS)('%s', (_, make) => {
  function open(options: AwkwardOptions = {}) {
    const rows = new Map<string, unknown>()
    const adapter = new AwkwardAdapter(rows, options)
    const seen = observe(make(adapter))
    return { rows, adapter, seen, store: new KeyvStore(seen.keyv, 1000) }
  }

  describe.each(HABITS)('over an adapter that %s', (_name, options) => {
    test('what is there is read under its key, and a miss is a miss', async () => {
      const { store } = open(options)
      for (const key of ['a', 'b', 'c']) await store.write(key, `value of ${key}`, 1000)
      expect(await store.read(['c', 'nothing', 'a', 'b'])).toEqual([
        'value of c',
        undefined,
        'value of a',
        'value of b',
      ])
      expect(await store.read(['nothing', 'nothing else'])).toEqual([undefined, undefined])
      await store.delete(['a'])
      expect(await store.read(['a', 'b'])).toEqual([undefined, 'value of b'])
    })

    test('an outage is an error and never a miss, from the first call on (P7)', async () => {
      const { adapter, store } = open(options)
      adapter.down = true
      await expect(store.read(['k', 'g'])).rejects.toMatchObject({ operation: 'read', timedOut: false })
      await up(adapter)
      expect(await store.read(['k', 'g'])).toEqual([undefined, undefined])
      await store.write('k', 'v', 1000)
      adapter.down = true
      await expect(store.read(['k', 'g'])).rejects.toBeInstanceOf(StoreUnavailableError)
      await up(adapter)
      expect(await store.read(['k', 'g'])).toEqual(['v', undefined])
    })

    test('a store that is empty again is empty', async () => {
      const { rows, store } = open(options)
      await store.read(['k'])
      rows.clear()
      expect(await store.read(['k'])).toEqual([undefined])
    })

    test('what has to be sure is read back, whatever the adapter answers (P4)', async () => {
      const { adapter, store } = open(options)
      await store.writeConfirmed([() => ({ key: 'k', value: 'v', ttl: 1000 })])
      adapter.down = true
      await expect(store.writeConfirmed([() => ({ key: 'k', value: 'w', ttl: 1000 })])).rejects.toMatchObject(
        {
          operation: 'write',
        },
      )
      await expect(store.delete(['k'])).rejects.toMatchObject({ operation: 'delete' })
      await up(adapter)
      expect(await store.read(['k'])).toEqual(['v'])
      await store.delete(['k'])
    })
  })

  test('a write that was answered and not done is seen when it is read back', async () => {
    const { adapter, store } = open()
    await store.write('k', 'v', 1000)
    adapter.before = (request) => {
      adapter.down = request !== 'get'
    }
    await expect(store.writeConfirmed([() => ({ key: 'k', value: 'w', ttl: 1000 })])).rejects.toMatchObject({
      cause: { message: 'what was written is not there' },
    })
    await expect(store.delete(['k'])).rejects.toMatchObject({
      cause: { message: 'what was deleted is still there' },
    })
  })

  test('of two who write the same key at once both are told that it is done', async () => {
    const { store } = open()
    await Promise.all([
      store.writeConfirmed([() => ({ key: 'k', value: 'one', ttl: 1000 })]),
      store.writeConfirmed([() => ({ key: 'k', value: 'two', ttl: 1000 })]),
    ])
  })

  describe('an error event that belongs to no call', () => {
    const disturbed = async (keys: string[], proven: boolean) => {
      const { adapter, store } = open()
      if (proven) Object.assign(adapter, { query() {}, opts: { dialect: 'sqlite' } })
      await store.write('k', 'v', 1000)
      await store.read(['nothing'])
      adapter.before = () => adapter.disturb()
      return store.read(keys)
    }

    test('makes a failure of a miss', async () => {
      await expect(disturbed(['k', 'nothing'], false)).rejects.toMatchObject({
        cause: { message: 'the connection is lost' },
      })
    })

    test('takes nothing from what was found', async () => {
      expect(await disturbed(['k'], false)).toEqual(['v'])
    })

    test('is nothing to an adapter whose calls tell of their own failure', async () => {
      expect(await disturbed(['k', 'nothing'], true)).toEqual(['v', undefined])
    })

    test('makes a failure of an unconfirmed write', async () => {
      const { adapter, store } = open()
      adapter.before = () => adapter.disturb()
      await expect(store.write('k', 'v', 1000)).rejects.toMatchObject({ operation: 'write' })
    })

    test('tells why a call has timed out', async () => {
      const { adapter, seen } = open()
      const store = new KeyvStore(seen.keyv, 30)
      adapter.before = () => {
        adapter.disturb()
        return new Promise(() => {})
      }
      await expect(store.read(['k'])).rejects.toMatchObject({
        timedOut: true,
        cause: { message: 'the connection is lost' },
      })
    })

    test('is nothing to another Keyv', async () => {
      const [one, two] = [open(), open()]
      await two.store.read(['nothing'])
      two.adapter.before = () => one.adapter.disturb()
      expect(await two.store.read(['nothing'])).toEqual([undefined])
    })
  })

  test('a hit costs a call for each key, a miss the canary, an eviction what it reads back', async () => {
    const { seen, store } = open()
    await store.read(['nothing'])
    await store.write('k', 'v', 1000)
    seen.calls()
    await store.read(['k', 'nothing'])
    expect(seen.calls()).toEqual(['read', 'read'])
    await store.read(['nothing', 'nothing else'])
    expect(seen.calls()).toEqual(['read', 'read', 'read'])
    await store.writeConfirmed([() => ({ key: 'g', value: 'v', ttl: 1000 })])
    await store.delete(['k'])
    expect(seen.calls()).toEqual(['write', 'read', 'delete', 'read', 'read'])
  })

  test('a call that was given up on does nothing more', async () => {
    const { adapter, seen } = open()
    const store = new KeyvStore(seen.keyv, 20)
    const answer = Promise.withResolvers<void>()
    adapter.before = () => answer.promise
    await expect(store.writeConfirmed([() => ({ key: 'k', value: 'v', ttl: 1000 })])).rejects.toMatchObject({
      timedOut: true,
    })
    await expect(store.read(['k', 'g'])).rejects.toMatchObject({ timedOut: true })
    answer.resolve()
    for (let turns = 0; turns < 10; turns++) await turn()
    expect(seen.calls()).toEqual(['write', 'read'])
  })

  test('a batch that is not answered for every key is a failure, from an adapter that is proven too', async () => {
    for (const answer of [['{"value":"v"}'], []]) {
      const adapter = Object.assign(new AwkwardAdapter(new Map()), {
        query() {},
        opts: { dialect: 'sqlite' },
        getMany: async () => answer,
      })
      const store = new KeyvStore(make(adapter), 1000)
      await expect(store.read(['k', 'g'])).rejects.toMatchObject({ operation: 'read', timedOut: false })
    }
  })
})

test('a Keyv 5 that is told to emit no errors hides no outage', async () => {
  const adapter = Object.assign(new AwkwardAdapter(new Map()), { query() {}, opts: { dialect: 'sqlite' } })
  const keyv = new Keyv({ store: adapter, namespace: '', useKeyPrefix: false, emitErrors: false })
  const store = new KeyvStore(keyv, 1000)
  adapter.down = true
  await expect(store.read(['k'])).rejects.toBeInstanceOf(StoreUnavailableError)
})

test.each([
  ['query', { query() {} }],
  ['getClient', { getClient: async () => ({}) }],
  ['the dialect of another', { query() {}, opts: { dialect: 'dynamo' } }],
  ['a dialect and nothing else', { opts: { dialect: 'postgres' } }],
])('an adapter that merely looks like a proven one is read with care: %s (E8)', async (_, looks) => {
  const adapter = Object.assign(new AwkwardAdapter(new Map(), { failures: 'thrown' }), looks)
  const keyv = new Keyv({ store: adapter, namespace: '', useKeyPrefix: false })
  expect(isProven(keyv)).toBe(false)
  const store = new KeyvStore(keyv, 1000)
  adapter.down = true
  await expect(store.read(['k', 'g'])).rejects.toBeInstanceOf(StoreUnavailableError)
})

test('broken on purpose: known by one method, its outage is a miss', async () => {
  const broken = await mutant<{ isProven: typeof isProven }>('adapter known by one method', 'isProven')
  const adapter = Object.assign(new AwkwardAdapter(new Map()), { query() {} })
  expect(broken.isProven(new Keyv({ store: adapter }))).toBe(true)
})
