import { createClient } from '@keyv/redis'
import KeyvSqlite from '@keyv/sqlite'
import Keyv from 'keyv'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { ConfidentialClients, generateEncryptionKey, KeyvCachePlugin } from '../../src/index.ts'
import { resolveEncryptionKeys } from '../../src/records/encryption-keys.ts'
import { Sealing } from '../../src/records/sealing.ts'
import { redis } from '../contract/stores/redis.ts'
import { sqlite } from '../contract/stores/sqlite.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn, SCOPES } from '../support/entra.ts'
import { KINDS, kindOf, runEveryFlow } from '../support/every-flow.ts'
import { mutant } from '../support/mutant.ts'
import { missingProgram } from '../support/programs.ts'
import { isStored, keysOf } from '../support/stored.ts'

const SECOND = 1000
const HOUR = 3600 * SECOND
const DAY = 24 * HOUR
const FORTNIGHT = 14 * DAY
// MSAL adds `ext_expires_in` to the expiry, and the stand-in answers an hour for both.
const LAST_USE = 2 * HOUR
const encryptionKeys = [generateEncryptionKey()]
/** By session, by subject, by directory user. */
const LINKS = ['_s', '_n', '_d']

/** What a record says of its own end, in epoch milliseconds. */
function expiryIn(value: string, key: string): number {
  const keys = value.startsWith('{') ? undefined : resolveEncryptionKeys(encryptionKeys)
  const opened = new Sealing({ encryptionKeys: keys, allowPlaintext: false }).open(value, key)
  if (!('plaintext' in opened)) throw new Error(opened.unreadable)
  const [header = ''] = opened.plaintext.split('\n', 1)
  return (JSON.parse(header) as { x: number }).x
}

interface Row {
  readonly key: string
  /** Keyv's own text. */
  readonly text: string
  /** Milliseconds that the store itself will keep it, where it does that. */
  readonly remaining: number | undefined
}

async function rowsInRedis(): Promise<Row[]> {
  const address = redis.address()
  if (address?.kind !== 'redis') throw new Error('no Redis')
  const client = createClient({ url: address.url })
  await client.connect()
  const rows: Row[] = []
  for (const key of await client.keys('*')) {
    // The adapter adds a namespace to it.
    rows.push({
      key: key.slice(key.indexOf('mk1_')),
      text: (await client.get(key)) ?? '',
      remaining: await client.pTTL(key),
    })
  }
  await client.flushAll()
  client.destroy()
  return rows
}

async function rowsInSqlite(): Promise<Row[]> {
  const address = sqlite.address()
  if (address?.kind !== 'sqlite') throw new Error('no SQLite')
  const adapter = new KeyvSqlite({ uri: `sqlite://${address.file}` })
  const rows = (await adapter.query('SELECT key, value FROM keyv')) as { key: string; value: string }[]
  await adapter.query('DELETE FROM keyv')
  await adapter.disconnect()
  return rows.map(({ key, value }) => ({ key, text: value, remaining: undefined }))
}

for (const [store, rowsIn] of [
  [redis, rowsInRedis],
  [sqlite, rowsInSqlite],
] as const) {
  describe.skipIf(missingProgram(...store.programs))(`every record in ${store.name} expires`, () => {
    beforeAll(() => store.start())
    afterAll(() => store.stop())

    test.each([
      ['plaintext', {}],
      ['sealed', { encryptionKeys }],
    ])(
      'after every flow, %s: an hour after it says itself, which is its tokens’ end or ttl',
      async (_, options) => {
        const { entra, brief } = await runEveryFlow(await store.open(), options)
        const now = Date.now()
        const rows = await rowsIn()
        expect(new Set(rows.map(({ key }) => kindOf(key)))).toEqual(new Set(KINDS))
        const briefKey = keysOf(brief.homeAccountId).partition
        for (const { key, text, remaining } of rows) {
          const { value, expires } = JSON.parse(text) as { value: string; expires: number }
          const ownExpiry = expiryIn(value, key)
          const kind = kindOf(key)
          const grace = kind === '_g' ? 0 : HOUR
          expect(Math.abs(expires - ownExpiry - grace)).toBeLessThan(10 * SECOND)
          if (remaining !== undefined) expect(Math.abs(now + remaining - expires)).toBeLessThan(10 * SECOND)

          const lifetime = ownExpiry - now
          expect(lifetime).toBeGreaterThan(0)
          const isShort = key === briefKey || kind === '_a' || kind === '_o' || kind === '_j'
          const longest = isShort ? LAST_USE : kind === '_g' ? 90 * DAY + HOUR : FORTNIGHT
          expect(lifetime).toBeLessThanOrEqual(longest + 10 * SECOND)
          if (kind === '_p' && !isShort) expect(lifetime).toBeGreaterThan(FORTNIGHT - 60 * SECOND)
        }
        // All links of the user without a refresh token end with the tokens.
        const links = rows.filter(({ key }) => ['_u', ...LINKS].includes(kindOf(key) ?? ''))
        const ends = links.map(({ key, text }) => expiryIn(JSON.parse(text).value, key) - now)
        expect(ends.filter((end) => end < LAST_USE + 10 * SECOND)).toHaveLength(LINKS.length)
        expect(entra.tokensIn(rows.map(({ text }) => text).join()).length > 0).toBe(
          !('encryptionKeys' in options),
        )
      },
    )
  })
}

describe('on a clock of its own', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }).setSystemTime(1_800_000_000_000))
  afterEach(() => void vi.useRealTimers())

  function pass(milliseconds: number): void {
    vi.setSystemTime(Date.now() + milliseconds)
  }

  function host(Plugin = KeyvCachePlugin, options: { ttl?: number } = {}) {
    const entra = new EntraStandIn({ size: 'small' })
    const map = new Map<string, string>()
    const store = new Keyv({ store: map })
    const plugin = new Plugin({ store, clientId: CLIENT_ID, encryptionKeys, ...options })
    const user = entra.user()
    const signIn = () => entra.signIn(entra.client(plugin), user)
    const silent = (options = {}) => {
      const client = entra.client(plugin.forAccount(user))
      return acquireSilently(client, user.homeAccountId, options)
    }
    /** How long a record will still count, in milliseconds. */
    const lifetimes = (kind: string) =>
      [...map]
        .filter(([key]) => key.endsWith(kind))
        .map(([key, text]) => expiryIn(JSON.parse(text).value, key.replace('keyv:', '')) - Date.now())
    return { entra, map, store, plugin, user, signIn, silent, lifetimes }
  }

  test('ttl slides with every write, and not with a hit', async () => {
    const { signIn, silent, lifetimes } = host()
    await signIn()
    for (let n = 0; n < 3; n++) {
      pass(FORTNIGHT - HOUR)
      await silent({ forceRefresh: true })
      expect(lifetimes('_p')).toEqual([FORTNIGHT])
      for (const link of LINKS) expect(lifetimes(link)).toEqual([FORTNIGHT])
    }
    pass(HOUR / 2)
    await silent()
    expect(lifetimes('_p')).toEqual([FORTNIGHT - HOUR / 2])
    pass(FORTNIGHT - HOUR / 2)
    await expect(silent()).rejects.toThrow('no_tokens_found')
  })

  const noRefreshToken = { omit: ['refresh_token'] } as const

  test('without a refresh token, account and links end with the last token', async () => {
    const { entra, user, plugin, signIn, silent, lifetimes } = host()
    entra.answers.authorization_code = noRefreshToken
    await signIn()
    expect(lifetimes('_p')).toEqual([LAST_USE])
    for (const link of LINKS) expect(lifetimes(link)).toEqual([LAST_USE])
    pass(LAST_USE - SECOND)
    expect(await isStored(plugin, user)).toBe(true)
    pass(SECOND)
    expect(await isStored(plugin, user)).toBe(false)
    await expect(silent()).rejects.toThrow('no_tokens_found')
    expect(entra.tokenRequests.refresh_token).toBe(0)
  })

  test('an ID token counts until its own exp', async () => {
    const { entra, signIn, lifetimes } = host()
    entra.answers.authorization_code = { ...noRefreshToken, lifetime: 600 }
    await signIn()
    expect(lifetimes('_p')).toEqual([HOUR])
    entra.answers.authorization_code = { ...noRefreshToken, lifetime: -10 }
    pass(HOUR)
    await signIn()
    expect(lifetimes('_p')).toEqual([HOUR])
  })

  test('extended_expires_on counts as MSAL counts it', async () => {
    const { entra, user, signIn, silent, lifetimes, store } = host()
    entra.answers.authorization_code = { omit: ['refresh_token', 'id_token'], lifetime: 600 }
    const extended = 3 * HOUR + 600 * SECOND
    const answer = entra.sendPostRequestAsync.bind(entra)
    entra.sendPostRequestAsync = async <T>(...request: Parameters<typeof answer>) => {
      const response = await answer<T>(...request)
      Object.assign(response.body as object, { ext_expires_in: 3 * 3600 })
      return response
    }
    await signIn()
    expect(lifetimes('_p')).toEqual([extended])

    // With a refresh token the record stays, and the token in it as long as MSAL may fall back on it.
    entra.answers.authorization_code = { lifetime: 600 }
    await signIn()
    const bodies = async () => {
      const { partition } = keysOf(user.homeAccountId)
      const keys = resolveEncryptionKeys(encryptionKeys)
      const sealing = new Sealing({ encryptionKeys: keys, allowPlaintext: false })
      const opened = sealing.open((await store.getMany([partition]))[0], partition)
      return 'plaintext' in opened ? (opened.plaintext.split('\n')[1] ?? '') : ''
    }
    const accessTokens = async () => Object.keys(JSON.parse(await bodies()).AccessToken).length
    pass(HOUR)
    await silent({ scopes: ['api://a/read'] })
    expect(await accessTokens()).toBe(2)
    pass(extended - HOUR - SECOND)
    await silent({ scopes: ['api://b/read'] })
    expect(await accessTokens()).toBe(3)
    pass(SECOND)
    await silent({ scopes: ['api://c/read'] })
    expect(await accessTokens()).toBe(3)
  })

  test('ttl is the most, also where a token lives longer', async () => {
    const { entra, signIn, lifetimes } = host(undefined, { ttl: HOUR })
    entra.answers.authorization_code = { ...noRefreshToken, lifetime: 2 * 3600 }
    await signIn()
    expect(lifetimes('_p')).toEqual([HOUR])
  })

  test('linking a session later does not prolong it', async () => {
    const { entra, plugin, lifetimes } = host()
    entra.answers.authorization_code = noRefreshToken
    const result = await entra.signIn(entra.client(plugin), entra.user({ sid: null }))
    pass(HOUR)
    await plugin.openSession(result, { sessionState: 'the session' })
    expect(lifetimes('_p')).toEqual([LAST_USE - HOUR])
    for (const link of ['_u', '_n']) expect(lifetimes(link)).toEqual([LAST_USE - HOUR])
  })

  test('a refresh token that comes later brings the whole ttl, and stays', async () => {
    const { entra, signIn, lifetimes } = host()
    entra.answers.authorization_code = noRefreshToken
    await signIn()
    entra.answers.authorization_code = {}
    await signIn()
    expect(lifetimes('_p')).toEqual([FORTNIGHT])
    entra.answers.authorization_code = noRefreshToken
    await signIn()
    expect(lifetimes('_p')).toEqual([FORTNIGHT])
  })

  test('a long-running process without a refresh token ends with its token', async () => {
    const { entra, plugin, user, lifetimes } = host()
    const msal = new ConfidentialClients(entra.configuration(), { plugin })
    const begin = (lifetime: number) => {
      entra.answers.on_behalf_of = { omit: ['refresh_token', 'id_token'], lifetime }
      const oboAssertion = entra.assertion(user)
      return msal.acquireTokenInLongRunningProcess(`process ${lifetime}`, { scopes: SCOPES, oboAssertion })
    }
    await begin(600)
    expect(lifetimes('_l')).toEqual([2 * 600 * SECOND])
    await begin(-10)
    expect(lifetimes('_l')).toEqual([2 * 600 * SECOND])
  })

  test('the record decides, not the store, which keeps it an hour longer', async () => {
    const { map, plugin, user, signIn, silent, lifetimes } = host()
    await signIn()
    pass(FORTNIGHT)
    const [[, text] = ['', '']] = [...map].filter(([key]) => key.endsWith('_p'))
    expect(JSON.parse(text).expires - Date.now()).toBe(HOUR)
    expect(lifetimes('_p')).toEqual([0])
    expect(await isStored(plugin, user)).toBe(false)
    await expect(silent()).rejects.toThrow('no_tokens_found')
    await signIn()
    expect((await silent()).fromCache).toBe(true)
  })

  test('these tests can fail', async () => {
    const lifetimeBy = async ({ KeyvCachePlugin: Plugin }: { KeyvCachePlugin: typeof KeyvCachePlugin }) => {
      const { entra, signIn, lifetimes } = host(Plugin)
      entra.answers.authorization_code = noRefreshToken
      await signIn()
      return lifetimes('_p')
    }
    const unbounded = await mutant('record outlives its tokens')
    expect(await lifetimeBy(unbounded)).toEqual([FORTNIGHT])
    const idTokenOnly = await mutant('access tokens do not count')
    expect(await lifetimeBy(idTokenOnly)).toEqual([HOUR])
  })
})
