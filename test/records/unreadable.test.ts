import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import Keyv from 'keyv'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { generateEncryptionKey, KeyvCachePlugin } from '../../src/index.ts'
import { resolveEncryptionKeys } from '../../src/records/encryption-keys.ts'
import { encodeRecord, type StoredRecord } from '../../src/records/record.ts'
import { Sealing } from '../../src/records/sealing.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn, TENANT_ID } from '../support/entra.ts'
import { type EveryFlow, type Kind, kindOf, runEveryFlow } from '../support/every-flow.ts'
import { mutant } from '../support/mutant.ts'
import { isStored, keysOf } from '../support/stored.ts'

const CHANNEL = 'msal-keyv:unreadable-record'
const ours = { ...generateEncryptionKey(), id: 'ours' }
const foreign = { ...generateEncryptionKey(), id: 'foreign' }
const encryptionKeys = [ours]

let reported: unknown[] = []
const listen = (event: unknown) => void reported.push(event)
beforeEach(() => subscribe(CHANNEL, listen))
afterEach(() => {
  unsubscribe(CHANNEL, listen)
  reported = []
})

/** What was reported since the last look, without repetitions. */
function reports(): unknown[] {
  const seen = new Map(reported.map((event) => [JSON.stringify(event), event]))
  reported = []
  return [...seen.values()]
}

function sealingOf(...keys: (typeof ours)[]): Sealing {
  return new Sealing({ encryptionKeys: resolveEncryptionKeys(keys), allowPlaintext: false })
}

const codec = sealingOf(ours)

/** A stored record, as one can damage it: as it is stored, and opened. */
interface Found {
  readonly key: string
  readonly sealed: string
  readonly plaintext: string
  /** The same record with another body or header, sealed for this key. */
  resealed(changes: Partial<StoredRecord> & { text?: string }): string
}

function found(key: string, sealed: string): Found {
  const opened = codec.open(sealed, key)
  const plaintext = 'plaintext' in opened ? opened.plaintext : ''
  const resealed = ({ text, ...changes }: Partial<StoredRecord> & { text?: string }) => {
    const { g, o, s, x } = JSON.parse(plaintext.split('\n', 1)[0] ?? '')
    const body = plaintext.slice(plaintext.indexOf('\n') + 1)
    const record = { key, generation: g, owner: o, sessions: s, expiresAt: x, body, ...changes }
    return codec.seal(text ?? encodeRecord(record), key)
  }
  return { key, sealed, plaintext, resealed }
}

type Damage = readonly [reason: string, what: string, damage: (found: Found) => unknown]

/** Every way in which a record can be unreadable where sealing is on. */
const DAMAGES: readonly Damage[] = [
  [
    'unknown-key',
    'sealed by a key that is not there',
    ({ key, plaintext }) => sealingOf(foreign).seal(plaintext, key),
  ],
  ['tampered', 'one bit flipped', ({ sealed }) => respelled(sealed, flipped)],
  [
    'tampered',
    'moved from another key',
    ({ plaintext }) => codec.seal(plaintext, keysOf('another').partition),
  ],
  ['tampered', 'cut', ({ sealed }) => respelled(sealed, (bytes) => bytes.subarray(0, -1))],
  ['plaintext', 'not sealed', ({ plaintext }) => plaintext],
  ['malformed', 'no record at all', () => 'nonsense'],
  ['malformed', 'empty', () => ' '],
  ['malformed', 'no string', () => ({ v: 1 })],
  ['malformed', 'another spelling', ({ sealed }) => `${sealed}=`],
  ['malformed', 'sealed, but without a header', ({ resealed }) => resealed({ text: '{}' })],
  [
    'malformed',
    'sealed, but with a header that is no JSON',
    ({ resealed }) => resealed({ text: 'nonsense\n{}' }),
  ],
  [
    'wrong-record',
    'sealed for this key, and of another',
    ({ resealed }) => resealed({ text: foreignRecord() }),
  ],
  ['newer-version', 'sealed in a newer format', ({ sealed }) => sealed.replace('v1.', 'v2.')],
  ['newer-version', 'in a newer format', ({ resealed }) => resealed({ text: '{"v":2}\n' })],
]

const BODIES = [
  '',
  'nonsense',
  '7',
  'null',
  '[]',
  '"text"',
  '{}',
  '{"Account":7}',
  '{"Account":"text"}',
  '{"Account":{"a":null}}',
  '{"AccessToken":{"a":{}}}',
  '{"AppMetadata":{"appmetadata-a-b":{}}}',
]

/** Opens, and is no token cache. */
const NO_TOKEN_CACHE = BODIES.map(
  (body): Damage => ['malformed', `the body ${body}`, ({ resealed }) => resealed({ body })],
)

const EXPIRED: Damage = ['expired', 'expired', ({ resealed }) => resealed({ expiresAt: Date.now() })]

function foreignRecord(): string {
  return encodeRecord({ key: 'another', generation: 'g', expiresAt: Date.now() + 60_000, body: '{}' })
}

/** With other bytes after the key id, canonically spelled. */
function respelled(sealed: string, change: (bytes: Buffer) => Buffer): string {
  const [version, id, encoded = ''] = sealed.split('.')
  return [version, id, change(Buffer.from(encoded, 'base64url')).toString('base64url')].join('.')
}

function flipped(bytes: Buffer): Buffer {
  const middle = bytes.length >> 1
  bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle)
  return bytes
}

function host(Plugin = KeyvCachePlugin) {
  const entra = new EntraStandIn({ size: 'small' })
  const store = new Keyv({ store: new Map() })
  const plugin = new Plugin({ store, clientId: CLIENT_ID, encryptionKeys })
  const user = entra.user()
  const signIn = async () => plugin.openSession(await entra.signIn(entra.client(plugin), user))
  const silent = () => acquireSilently(entra.client(plugin.forAccount(user)), user.homeAccountId)
  const read = async (key: string) => (await store.getMany([key]))[0] as unknown
  const damage = async (key: string, [, , change]: Damage) => {
    const damaged = change(found(key, (await read(key)) as string))
    await store.set(key, damaged, 60_000)
    return damaged
  }
  return { entra, store, plugin, user, signIn, silent, read, damage, ...keysOf(user.homeAccountId) }
}

describe('an unreadable partition', () => {
  test.each([...DAMAGES, ...NO_TOKEN_CACHE, EXPIRED])(
    'is reported as %s (%s), counts as absent, stays, and is replaced by the next sign-in',
    async (...damage) => {
      const [reason] = damage
      const { user, plugin, partition: key, signIn, silent, read, damage: apply } = host()
      await signIn()
      const damaged = await apply(key, damage)
      expect(reports()).toEqual([])

      await expect(silent()).rejects.toMatchObject({ errorCode: 'no_tokens_found' })
      expect(reports()).toEqual([{ key, reason }])
      expect(await read(key)).toEqual(damaged)

      await signIn()
      // An empty cache is nothing new to a sign-in.
      expect([{ key, reason }]).toEqual(expect.arrayContaining(reports()))
      expect((await silent()).fromCache).toBe(true)
      expect(await isStored(plugin, user)).toBe(true)
      expect(reports()).toEqual([])
    },
  )

  test('without the report of what MSAL cannot read, nobody learns of it', async () => {
    const broken = await mutant('malformed body not reported')
    const { partition: key, signIn, silent, damage } = host(broken.KeyvCachePlugin)
    await signIn()
    await damage(key, ['malformed', '', ({ resealed }) => resealed({ body: '{"Account":{' })])
    await expect(silent()).rejects.toMatchObject({ errorCode: 'no_tokens_found' })
    expect(reports()).toEqual([])
  })

  test('with allowPlaintext, one that was moved is told by its header', async () => {
    const { entra, store, user, partition: key } = host()
    const plugin = new KeyvCachePlugin({ store, clientId: CLIENT_ID, encryptionKeys, allowPlaintext: true })
    const open = new KeyvCachePlugin({ store, clientId: CLIENT_ID })
    const other = entra.user()
    await entra.signIn(entra.client(open), other)
    await store.set(key, (await store.getMany([keysOf(other.homeAccountId).partition]))[0], 60_000)
    const client = entra.client(plugin.forAccount(user))
    await expect(acquireSilently(client, user.homeAccountId)).rejects.toThrow('no_tokens_found')
    expect(reports()).toEqual([{ key, reason: 'wrong-record' }])
  })
})

describe('an unreadable generation record', () => {
  const record = (key: string, text: string): Found => ({ ...found(key, ''), plaintext: text })
  const damages: readonly Damage[] = [
    ['malformed', 'no record', () => 'nonsense'],
    ['malformed', 'no string', () => ({ v: 1 })],
    ['malformed', 'sealed', ({ key, plaintext }) => codec.seal(plaintext, key)],
    ['malformed', 'without a generation', ({ plaintext }) => plaintext.replace(/"g":"[^"]*",/, '')],
    ['malformed', 'cut', ({ plaintext }) => plaintext.slice(0, -2)],
    [
      'wrong-record',
      "another account's",
      ({ plaintext }) => plaintext.replace(/mk1_\{.{43}\}/, 'mk1_{another}'),
    ],
    ['newer-version', 'of a newer version', ({ plaintext }) => plaintext.replace('"v":1', '"v":2')],
  ]

  test.each(damages)(
    '%s (%s): invalidates, is reported, stays, and the next sign-in replaces it',
    async (...damage) => {
      const [reason, , change] = damage
      const { store, user, plugin, generation: key, signIn, silent, read } = host()
      await signIn()
      await plugin.evictAccount(user.homeAccountId)
      const session = await signIn()
      expect((await silent()).fromCache).toBe(true)
      const damaged = change(record(key, (await read(key)) as string))
      await store.set(key, damaged, 60_000)

      await expect(silent()).rejects.toMatchObject({ errorCode: 'no_tokens_found' })
      expect(await plugin.isSignedIn(session)).toBe(false)
      expect(reports()).toEqual([{ key, reason }])
      expect(await read(key)).toEqual(damaged)

      const next = await signIn()
      expect(next.generation).not.toBe(session.generation)
      reports()
      expect((await silent()).fromCache).toBe(true)
      expect(await plugin.isSignedIn(session)).toBe(false)
      expect(reports()).toEqual([])
    },
  )

  test('taken for none, it brings an evicted sign-in back', async () => {
    const broken = await mutant('unreadable generation taken for none')
    const replay = async (Plugin: typeof KeyvCachePlugin) => {
      const { store, user, plugin, signIn, silent, read, partition, generation } = host(Plugin)
      await signIn()
      const old = await read(partition)
      await plugin.evictAccount(user.homeAccountId)
      await store.set(partition, old, 60_000)
      await store.set(generation, 'nonsense', 60_000)
      return silent().then(
        ({ fromCache }) => fromCache,
        (error: { errorCode: string }) => error.errorCode,
      )
    }
    expect(await replay(KeyvCachePlugin)).toBe('no_tokens_found')
    expect(await replay(broken.KeyvCachePlugin)).toBe(true)
  })
})

describe('an unreadable record of any other kind', () => {
  const others: Kind[] = ['_a', '_o', '_l', '_s', '_j']
  const damages = DAMAGES.flatMap((damage) => others.map((kind) => [kind, ...damage] as const))

  const map = new Map<string, string>()
  const store = new Keyv(map, { useKeyPrefix: false })
  let world: EveryFlow
  let records: [string, string][]

  beforeAll(async () => {
    world = await runEveryFlow(store, { encryptionKeys }, 'small')
    records = [...map]
  })

  /** What every flow has left, with the records of one kind damaged. */
  async function damaged(kind: Kind, [, , change]: Damage) {
    map.clear()
    for (const [key, value] of records) map.set(key, value)
    const keys = [...map.keys()].filter((key) => kindOf(key) === kind)
    for (const key of keys) {
      const [sealed] = await store.getMany<string>([key])
      await store.set(key, change(found(key, sealed ?? '')), 60_000)
    }
    reports()
    return { ...world, keys }
  }

  test.each(damages)('%s, %s (%s), counts as absent', async (kind, ...damage) => {
    const [reason] = damage
    const { keys, useAll, logout, logoutToken, ada, entra } = await damaged(kind, damage)
    const fromCache = Object.fromEntries(
      (await useAll()).map(({ flow, result, error }) => [flow, result?.fromCache ?? (error as Error).name]),
    )
    expect(fromCache).toEqual({
      silent: true,
      'silent, without a refresh token': true,
      'on behalf of': kind !== '_o',
      'long-running process': kind === '_l' ? 'InteractionRequiredAuthError' : true,
      app: kind !== '_a',
    })
    const { sid } = ada
    const query = new URLSearchParams({ iss: entra.issuerFor(TENANT_ID), sid: sid ?? '' })
    const front = await logout.handle({ method: 'GET', url: `/logout?${query}` })
    expect(front.result).toBe(kind === '_s' ? 'unknown-session' : 'evicted')
    if (kind === '_j') {
      const body = new URLSearchParams({ logout_token: logoutToken })
      await logout.handle(new Request('https://app.example/logout', { method: 'POST', body }))
    }
    const events = reports() as { key: string; reason: string }[]
    expect(events.length).toBeGreaterThan(0)
    for (const event of events) {
      expect(keys).toContain(event.key)
      expect(event.reason).toBe(reason)
    }
  })

  test.each(['_a', '_o', '_l'] as const)('%s that opens but is no token cache is malformed', async (kind) => {
    for (const damage of NO_TOKEN_CACHE) {
      const { keys, useAll } = await damaged(kind, damage)
      const results = await useAll()
      expect(results.filter(({ result }) => result?.fromCache !== true)).toHaveLength(1)
      expect(reports()).toEqual(keys.map((key) => ({ key, reason: 'malformed' })))
    }
  })
})
