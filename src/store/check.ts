import { randomBytes } from 'node:crypto'
import { setTimeout as pass } from 'node:timers/promises'
import { StoreUnavailableError } from '../errors.ts'
import { type Adapter, adapterOf, isProven, type KeyvLike, redisOf } from './adapter.ts'
import type { KeyvStore } from './keyv-store.ts'

/** What a probe of the store found. */
export interface StoreCheck {
  /** How long writing, reading back and deleting a record took, in milliseconds. */
  milliseconds: number
  /** False where evictions do not hold over this store: `short-lifetime` or `deletes-on-miss` is among the warnings. */
  supported: boolean
  /** What works now and will cost later. `code` never changes. */
  warnings: {
    code:
      | 'no-ttl'
      | 'key-prefix'
      | 'silent-failures'
      | 'offline-queue'
      | 'eviction-policy'
      | 'eviction-policy-unknown'
      | 'unproven-adapter'
      | 'small-records'
      | 'short-lifetime'
      | 'deletes-on-miss'
    /** What it is, what it costs, and what to set. */
    message: string
  }[]
}

type StoreWarning = StoreCheck['warnings'][number]

const MINUTE = 60_000
const A_WHILE = 20
/** In 32 bits, this is one millisecond. */
const OVERFLOW = 2 ** 32 + 1
const UNSUPPORTED: readonly StoreWarning['code'][] = ['short-lifetime', 'deletes-on-miss']
/** Beyond the 64 kB that a column of the type TEXT holds, and with a character of four bytes. */
const LARGE_RECORD = 'x'.repeat(70_000).concat('\u{1f600}')

/**
 * Writes, reads back and deletes probe records, and looks for what will go wrong later.
 * @param longest the lifetime of the longest-lived record, in milliseconds
 * @throws {StoreUnavailableError} when the store fails, or does not return what was written
 */
export async function checkStore(store: KeyvStore, keyv: KeyvLike, longest: number): Promise<StoreCheck> {
  const key = probeKey()
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
  const found = [
    !(await keeps(store, [longest, OVERFLOW])) && warning('short-lifetime', SHORT_LIFETIME),
    (await deletesOnMiss(store)) && warning('deletes-on-miss', DELETES_ON_MISS),
    !(await keepsLarge(store)) && warning('small-records', SMALL_RECORDS),
    (await keepsExpired(store)) && warning('no-ttl', NO_TTL),
    !isProven(keyv) && warning('unproven-adapter', UNPROVEN_ADAPTER),
    isPrefixed && warning('key-prefix', KEY_PREFIX),
    ...(await adapterWarnings(keyv)),
  ]
  const warnings = found.filter((each) => each !== false)
  return { milliseconds, supported: !warnings.some(({ code }) => UNSUPPORTED.includes(code)), warnings }
}

const SHORT_LIFETIME =
  'not supported: the store drops a record with a lifetime of 50 or 90 days, and so forgets evictions. memcached reads ' +
  'more than 30 days as a date (docs/stores.md has a class that fixes it); a timer of 32 bits ends after 24.8 days'
const DELETES_ON_MISS =
  'not supported: a read that finds nothing deletes what somebody else writes at that moment, an eviction for example'
const SMALL_RECORDS =
  'the store refuses or cuts a record of 70 kB, or one with an emoji in it: users with many tokens cannot sign in. ' +
  'Make its column larger (MySQL: MEDIUMTEXT, utf8mb4)'
const UNPROVEN_ADAPTER =
  'how this adapter fails is not known, or Keyv has emitErrors: false. Each record is read by itself, so that a ' +
  'silent hit takes three calls, and an eviction is read back. If the adapter hides the failure of a single read, ' +
  'that failure cannot be seen'
const NO_TTL =
  'the store returns records that have expired: give it support for a TTL, or tokens stay in it without end'
const KEY_PREFIX =
  "Keyv puts a prefix before the keys, and Keyv 6 another one than Keyv 5: make it with { namespace: '', " +
  'useKeyPrefix: false } (Keyv 5), or everybody is signed out when you upgrade'
const SILENT_FAILURES =
  'the adapter hides failures from its callers: set throwOnErrors: true on it. msal-keyv sees them, but nobody else does'
const EVICTION_POLICY_UNKNOWN =
  'maxmemory-policy could not be read: managed services often refuse CONFIG. See to it there that it is noeviction, or ' +
  'Redis may drop records before they expire'
const OFFLINE_QUEUE =
  'the Redis client queues commands while it is offline, so that a write that timed out can arrive later: set ' +
  'disableOfflineQueue: true, or enableOfflineQueue: false for @keyv/valkey'

async function adapterWarnings(keyv: KeyvLike): Promise<(StoreWarning | false)[]> {
  const redis = redisOf(keyv)
  const policy = redis === undefined ? 'noeviction' : await evictionPolicy(redis)
  return [
    adapterOf(keyv)?.throwOnErrors === false && warning('silent-failures', SILENT_FAILURES),
    queuesOffline(redis) && warning('offline-queue', OFFLINE_QUEUE),
    policy === undefined && warning('eviction-policy-unknown', EVICTION_POLICY_UNKNOWN),
    policy !== undefined &&
      policy !== 'noeviction' &&
      warning(
        'eviction-policy',
        `Redis may drop records before they expire (maxmemory-policy ${policy}): a dropped generation record lets ` +
          'a write that was in flight at an eviction count again. Set noeviction',
      ),
  ]
}

type Redis = Pick<Adapter, 'client' | 'redis'>

/** Of the clients of @keyv/redis and @keyv/valkey; a cluster's options cannot be seen. */
function queuesOffline({ client, redis }: Redis = {}): boolean {
  return (
    (client?.options !== undefined && client.options.disableOfflineQueue !== true) ||
    (redis?.options !== undefined && redis.options.enableOfflineQueue !== false)
  )
}

/** Undefined where the server does not say: managed services often refuse CONFIG. */
async function evictionPolicy({ client, redis }: Redis): Promise<string | undefined> {
  const name = 'maxmemory-policy'
  try {
    const [, ofValkey] = (await redis?.config?.('GET', name)) ?? []
    return ofValkey ?? (await client?.configGet?.(name))?.[name]
  } catch {
    return undefined
  }
}

async function isKeyPrefixed(keyv: KeyvLike, key: string): Promise<boolean> {
  const adapter = adapterOf(keyv)
  if (typeof adapter?.get !== 'function') return false
  try {
    const raw = await adapter.get(key)
    return raw === undefined || raw === null
  } catch {
    return false
  }
}

/** Looks after a while: a lifetime that a timer of 32 bits cannot hold is over at once, but not within the call. */
async function keeps(store: KeyvStore, lifetimes: readonly number[]): Promise<boolean> {
  const keys = lifetimes.map(probeKey)
  await store.writeAll(keys.map((key, index) => ({ key, value: key, ttl: lifetimes[index] ?? 0 })))
  await pass(A_WHILE)
  const values = await store.read(keys)
  await store.delete(keys)
  return values.every((value, index) => value === keys[index])
}

/** Both requests are on their way before either is answered. */
async function deletesOnMiss(store: KeyvStore): Promise<boolean> {
  return probe(store, async (key) => {
    await Promise.all([store.read([key]), store.write(key, key, MINUTE)])
    const [value] = await store.read([key])
    return value === undefined
  })
}

async function keepsLarge(store: KeyvStore): Promise<boolean> {
  return probe(store, async (key) => {
    try {
      await store.write(key, LARGE_RECORD, MINUTE)
    } catch (error) {
      if (error instanceof StoreUnavailableError && !error.timedOut) return false
      throw error
    }
    const [value] = await store.read([key])
    return value === LARGE_RECORD
  })
}

async function keepsExpired(store: KeyvStore): Promise<boolean> {
  return probe(store, async (key) => {
    await store.write(key, key, 1)
    await pass(A_WHILE)
    const [value] = await store.read([key])
    return value !== undefined
  })
}

async function probe<Result>(store: KeyvStore, run: (key: string) => Promise<Result>): Promise<Result> {
  const key = probeKey()
  const result = await run(key)
  await store.delete([key])
  return result
}

function probeKey(): string {
  return `mk1_{${randomBytes(32).toString('base64url')}}_c`
}

function warning(code: StoreWarning['code'], message: string): StoreWarning {
  return { code, message }
}
