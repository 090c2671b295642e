import { Keyv } from 'keyv'
import { describe, expect, test, vi } from 'vitest'
import { KeyvCachePlugin, type KeyvLike } from '../../src/index.ts'
import { CLIENT_ID } from '../support/entra.ts'
import { importHost } from '../support/import-host.ts'

describe('an import that a failing store interrupts', () => {
  /** The store fails at its nth call, once it has done it or before. */
  function failingAt(nth: number, isDone: boolean, keyv: Keyv): KeyvLike {
    let calls = 0
    return new Proxy(keyv, {
      get(target, property) {
        const value: unknown = Reflect.get(target, property, target)
        if (typeof value !== 'function') return value
        if (!['getMany', 'set', 'setMany'].includes(String(property))) return value.bind(target)
        return async (...parameters: unknown[]) => {
          const fails = ++calls === nth
          if (!fails || isDone) await Reflect.apply(value, target, parameters)
          if (fails) throw new Error('the store fails')
          return Reflect.apply(value, target, parameters)
        }
      },
    })
  }

  test.each([false, true])(
    'is repeated with the same result (the failed call was done: %s)',
    async (isDone) => {
      vi.useFakeTimers({ toFake: ['Date'] })
      try {
        const { entra, blob, plugin, map } = importHost()
        const serialized = await blob(...Array.from({ length: 18 }, () => entra.user()))
        const whole = await plugin.importCache(serialized)
        const failures = Array.from({ length: 40 }, (_, index) => index + 1)
        let failed = 0
        for (const nth of failures) {
          const interrupted = new Map<string, string>()
          const keyv = new Keyv({ store: interrupted, useKeyPrefix: false })
          const broken = new KeyvCachePlugin({ store: failingAt(nth, isDone, keyv), clientId: CLIENT_ID })
          await broken.importCache(serialized).catch((error: { code?: string }) => {
            expect(error.code).toBe('ERR_STORE_UNAVAILABLE')
            failed++
          })
          const other = new KeyvCachePlugin({ store: keyv, clientId: CLIENT_ID })
          const { imported, skipped } = await other.importCache(serialized)
          const known = [...imported, ...skipped].map((account) => ({
            homeAccountId: account.homeAccountId,
            generation: 'generation' in account ? account.generation : undefined,
          }))
          const order = (one: { homeAccountId: string }, two: { homeAccountId: string }) =>
            one.homeAccountId < two.homeAccountId ? -1 : 1
          expect(known.sort(order)).toEqual([...whole.imported].sort(order))
          expect(new Set(interrupted.keys())).toEqual(new Set(map.keys()))
          for (const [key, value] of map) expect(interrupted.get(key)).toBe(value)
        }
        expect(failed).toBe(38)
      } finally {
        vi.useRealTimers()
      }
    },
  )
})
