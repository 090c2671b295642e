import { randomBytes } from 'node:crypto'
import { setTimeout as pass } from 'node:timers/promises'
import { StoreUnavailableError } from '../errors.ts'
import type { KeyvLike } from './keyv-like.ts'
import type { KeyvStore } from './keyv-store.ts'

/** Something about the store that works now and will cost later. `code` never changes. */
export interface StoreWarning {
  code: 'no-ttl' | 'key-prefix' | 'silent-failures' | 'offline-queue' | 'eviction-policy'
  /** What it is, what it costs, and what to set. */
  message: string
}

/** What a probe of the store found. */
export interface StoreCheck {
  /** How long writing, reading back and deleting a record took, in milliseconds. */
  milliseconds: number
  warnings: StoreWarning[]
}

/** What can be seen of an adapter beyond Keyv's interface. */
interface Adapter {
  readonly throwOnErrors?: unknown
  readonly client?: {
    readonly options?: { readonly disableOfflineQueue?: unknown }
    configGet?(name: string): Promise<Record<string, string>>
  }
  get?(key: string): Promise<unknown>
  /** Keyv 6 puts a bridge before an adapter that was made for Keyv 5. */
  readonly store?: Adapter
}

function adapterOf(keyv: KeyvLike): Adapter | undefined {
  const { store } = keyv as { store?: Adapter }
  return store?.client === undefined ? (store?.store ?? store) : store
}

const MINUTE = 60_000
const NO_TTL_AFTER = 20

/**
 * Writes, reads back and deletes a probe record, and looks for what will go wrong later.
 * @throws {StoreUnavailableError} when the store fails, or does not return what was written
 */
export async function checkStore(store: KeyvStore, keyv: KeyvLike): Promise<StoreCheck> {
  const key = `mk1_{${randomBytes(32).toString('base64url')}}_c`
  const start = performance.now()
  await store.write(key, key, MINUTE)
  const [value] = await store.read([key])
  const isPrefixed = value === key && (await isKeyPrefixed(keyv, key))
  await store.delete([key])
  const [left] = await store.read([key])
  const milliseconds = performance.now() - start
  if (value !== key) {
    throw new StoreUnavailableError('read', { timedOut: false, cause: 'what was written is not there' })
  }
  if (left !== undefined) {
    throw new StoreUnavailableError('delete', { timedOut: false, cause: 'what was deleted is still there' })
  }
  const warnings = [
    (await keepsExpired(store, key)) && warning('no-ttl', NO_TTL),
    isPrefixed && warning('key-prefix', KEY_PREFIX),
    ...(await adapterWarnings(keyv)),
  ]
  return { milliseconds, warnings: warnings.filter((each) => each !== false) }
}

const NO_TTL =
  'the store returns records that have expired: give it support for a TTL, or tokens stay for ever'
const KEY_PREFIX =
  "Keyv puts a prefix before the keys, and Keyv 6 another one than Keyv 5: make it with { namespace: '', " +
  'useKeyPrefix: false } (Keyv 5), or everybody is signed out when you upgrade'
const SILENT_FAILURES =
  'the adapter hides failures from its callers: set throwOnErrors: true on it. msal-keyv sees them, but nobody else does'
const OFFLINE_QUEUE =
  'the Redis client queues commands while it is offline, so that a write that was given up on can arrive later: set ' +
  'disableOfflineQueue: true'

async function adapterWarnings(keyv: KeyvLike): Promise<(StoreWarning | false)[]> {
  const adapter = adapterOf(keyv)
  const client = adapter?.client
  const policy = await evictionPolicy(client)
  return [
    adapter?.throwOnErrors === false && warning('silent-failures', SILENT_FAILURES),
    client?.options !== undefined &&
      client.options.disableOfflineQueue !== true &&
      warning('offline-queue', OFFLINE_QUEUE),
    policy !== undefined &&
      policy !== 'noeviction' &&
      warning(
        'eviction-policy',
        `Redis may drop records before they expire (maxmemory-policy ${policy}): a dropped generation record lets ` +
          'a write that was in flight at an eviction count again. Set noeviction',
      ),
  ]
}

/** Undefined where there is no Redis, or it does not say: managed services often refuse CONFIG. */
async function evictionPolicy(client: Adapter['client']): Promise<string | undefined> {
  try {
    return (await client?.configGet?.('maxmemory-policy'))?.['maxmemory-policy']
  } catch {
    return undefined
  }
}

async function isKeyPrefixed(keyv: KeyvLike, key: string): Promise<boolean> {
  const adapter = adapterOf(keyv)
  if (typeof adapter?.get !== 'function') return false
  const raw = await adapter.get(key)
  return raw === undefined || raw === null
}

async function keepsExpired(store: KeyvStore, key: string): Promise<boolean> {
  await store.write(key, key, 1)
  await pass(NO_TTL_AFTER)
  const [value] = await store.read([key])
  if (value !== undefined) await store.delete([key])
  return value !== undefined
}

function warning(code: StoreWarning['code'], message: string): StoreWarning {
  return { code, message }
}
