import type { KeyvLike } from '../../src/index.ts'

/** What reaches the store, whichever of Keyv's methods it comes by. */
export type StoreCall = 'read' | 'write' | 'delete'

const KINDS: Readonly<Record<string, StoreCall>> = {
  get: 'read',
  getMany: 'read',
  getRaw: 'read',
  getManyRaw: 'read',
  has: 'read',
  set: 'write',
  setMany: 'write',
  delete: 'delete',
  deleteMany: 'delete',
}

export interface ObservedStore {
  readonly keyv: KeyvLike
  /** The calls since the last look. */
  calls(): StoreCall[]
  /** Runs before the next call of this kind reaches the store. */
  before(call: StoreCall, fn: () => unknown): void
}

/** A Keyv whose calls are seen, and can be preceded by something, so that an order can be forced. */
export function observe(keyv: KeyvLike): ObservedStore {
  let seen: StoreCall[] = []
  const hooks: { call: StoreCall; fn: () => unknown }[] = []
  const proxy = new Proxy(keyv, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target)
      if (typeof value !== 'function') return value
      const call = KINDS[String(property)]
      if (call === undefined) return value.bind(target)
      return async (...parameters: unknown[]) => {
        seen.push(call)
        const index = hooks.findIndex((hook) => hook.call === call)
        const [hook] = index < 0 ? [] : hooks.splice(index, 1)
        await hook?.fn()
        return Reflect.apply(value, target, parameters)
      }
    },
  })
  return {
    keyv: proxy,
    calls() {
      const calls = seen
      seen = []
      return calls
    },
    before: (call, fn) => void hooks.push({ call, fn }),
  }
}
