import { types } from 'node:util'

/**
 * What this library needs of a Keyv instance. Keyv 5 (from 5.6) and 6 fit; their two `Keyv` classes are not
 * assignable to each other, hence a structural type.
 */
export interface KeyvLike {
  getRaw(key: string): Promise<unknown>
  getMany(keys: string[]): Promise<unknown>
  set(key: string, value: string, ttl: number): Promise<unknown>
  setMany?(entries: { key: string; value: string; ttl: number }[]): Promise<unknown>
  delete(key: string): Promise<unknown>
  deleteMany?(keys: string[]): Promise<unknown>
  on(event: 'error', listener: (error: unknown) => void): unknown
}

/**
 * The Redis connection under a store that this library has made over it. Registered, so that two copies of the library
 * know each other's.
 */
export const CONNECTION: unique symbol = Symbol.for('msal-keyv: Redis connection')

/** Of Keyv's own adapters for SQLite, PostgreSQL, and MySQL or MariaDB. */
const SQL_DIALECTS: readonly unknown[] = ['sqlite', 'postgres', 'mysql']

/** A storage adapter, as far as it can be seen from behind a Keyv instance. */
export interface Adapter {
  get?(key: string): unknown
  set?(key: string, value: string): unknown
  readonly getMany?: unknown
  readonly getClient?: () => Promise<unknown>
  readonly query?: unknown
  /** What Keyv's own adapters say of themselves. */
  readonly opts?: { readonly dialect?: unknown }
  /** The client of @keyv/valkey. */
  readonly redis?: {
    readonly mget?: unknown
    readonly options?: { readonly enableOfflineQueue?: unknown }
    config?(command: 'GET', name: string): Promise<string[]>
  }
  readonly throwOnErrors?: unknown
  readonly namespace?: unknown
  readonly keyPrefixSeparator?: unknown
  readonly client?: {
    readonly options?: { readonly disableOfflineQueue?: unknown }
    configGet?(name: string): Promise<Record<string, string>>
  }
  /** Keyv 6 puts a bridge before an adapter that was made for Keyv 5, and another class before a Map. */
  readonly store?: Adapter
}

/** What Keyv 5 and 6 have in public, beyond what this library needs of them. */
interface KeyvParts {
  readonly store?: Adapter
  readonly opts?: { readonly emitErrors?: unknown }
  /** Keyv 5 only: whether it puts its namespace before the keys. */
  readonly useKeyPrefix?: unknown
  readonly namespace?: unknown
  readonly compression?: unknown
  readonly encryption?: unknown
  /** What makes a record of the text that the adapter returns: in Keyv 5, and in Keyv 6. */
  deserializeData?(text: unknown): Promise<unknown>
  decode?(text: unknown): Promise<unknown>
}

function partsOf(keyv: KeyvLike): KeyvParts {
  return keyv as KeyvLike & KeyvParts
}

/** The Redis clients under a store, of a connection of the host's own as of an adapter's. */
export function redisOf(keyv: KeyvLike): Pick<Adapter, 'client' | 'redis'> | undefined {
  const connection = (keyv as { readonly [CONNECTION]?: NonNullable<Adapter['client'] & Adapter['redis']> })[
    CONNECTION
  ]
  if (connection !== undefined) return 'mGet' in connection ? { client: connection } : { redis: connection }
  const adapter = adapterOf(keyv)
  const isRedis = isFunction(adapter?.getClient) || isFunction(adapter?.redis?.mget)
  return isRedis ? adapter : undefined
}

/** The adapter that a host has made, without what Keyv 6 puts before it. */
export function adapterOf(keyv: KeyvLike): Adapter | undefined {
  const { store } = partsOf(keyv)
  return typeof store?.store?.get === 'function' ? store.store : store
}

/**
 * What is put before the keys. `new Keyv(adapter, { namespace })` writes its namespace into the adapter, also into one that
 * another Keyv has.
 */
export function prefixesOf(keyv: KeyvLike): readonly unknown[] {
  const { useKeyPrefix, namespace } = partsOf(keyv)
  const adapter = adapterOf(keyv)
  return [useKeyPrefix, namespace, adapter?.namespace, adapter?.keyPrefixSeparator]
}

/**
 * Whether the adapter is one of those whose every failure is seen, that of a batch read included: test/faults takes
 * their servers away from them. They are told by what they are made of, which a bundler does not rename: all of it,
 * the dialect that Keyv's own adapters name included, since a method alone is had by accident.
 *
 * Of any other it is not known what a miss, a missing event or a `true` of it is worth: many read a batch by
 * `Promise.allSettled`, so that keys whose read failed look like keys that are not there.
 */
export function isProven(keyv: KeyvLike): boolean {
  if (CONNECTION in keyv) return true
  const { opts } = partsOf(keyv)
  const adapter = adapterOf(keyv)
  if (adapter === undefined || opts?.emitErrors === false) return false
  let isKnown = looks.get(adapter)
  if (isKnown === undefined) {
    isKnown = looksProven(adapter)
    looks.set(adapter, isKnown)
  }
  return isKnown
}

/** What each adapter was found to be: some make their `opts` anew at every look. */
const looks = new WeakMap<Adapter, boolean>()

function looksProven(adapter: Adapter): boolean {
  if (types.isMap(adapter)) return true
  if (!isFunction(adapter.getMany)) return false
  const dialect = adapter.opts?.dialect
  if (dialect === 'redis') return isFunction(adapter.getClient) || isFunction(adapter.redis?.mget)
  return SQL_DIALECTS.includes(dialect) && isFunction(adapter.query)
}

/** Whether it may have been Keyv that failed, at what the store returned, and not the store. */
export function mayBeUnparseable(keyv: KeyvLike, error: unknown): boolean {
  const { compression, encryption } = partsOf(keyv)
  const isOfParser = error instanceof Error && (error.name === 'SyntaxError' || error.name === 'TypeError')
  return isOfParser || compression !== undefined || encryption !== undefined
}

/**
 * Whether the store has something under the key that Keyv cannot make a record of. The adapter is asked for it past
 * Keyv, so that it is not a failure of the store that is taken for a damaged value.
 */
export async function isUnparseable(keyv: KeyvLike, key: string): Promise<boolean> {
  const parts = partsOf(keyv)
  let stored: unknown
  try {
    stored = await parts.store?.get?.(storedKey(keyv, key))
  } catch {
    return false
  }
  if (typeof stored !== 'string') return false
  try {
    const decode = parts.decode ?? parts.deserializeData
    const record = decode === undefined ? JSON.parse(stored) : await decode.call(keyv, stored)
    return record === undefined || record === null
  } catch {
    return true
  }
}

/** Of a Map: Keyv 5 takes what it cannot parse there for a miss, and says nothing. */
export function isInMap(keyv: KeyvLike, key: string): boolean {
  const { store } = partsOf(keyv)
  return types.isMap(store) && store.has(storedKey(keyv, key))
}

/** The key by which Keyv asks its adapter; Keyv 6 leaves prefixes to that. */
export function storedKey(keyv: KeyvLike, key: string): string {
  const { useKeyPrefix, namespace } = partsOf(keyv)
  return useKeyPrefix === true && typeof namespace === 'string' ? `${namespace}:${key}` : key
}

function isFunction(member: unknown): boolean {
  return typeof member === 'function'
}
