import { readFileSync } from 'node:fs'
import { version as msalVersion, type TokenCache, TokenCacheContext } from '@azure/msal-node'
import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import { hasMark, markedCache, withoutMarks } from '../../src/msal/contract.ts'
import { emptyCache, parseSerialized } from '../../src/msal/schema.ts'
import { KeyvCachePlugin } from '../../src/plugin.ts'
import { PACKAGE_VERSION } from '../../src/version.ts'
import { CLIENT_ID, EntraStandIn } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'
import { isStored, keysOf } from '../support/stored.ts'

type Overrides = Partial<Pick<TokenCache, 'serialize' | 'deserialize' | 'hasChanged' | 'getKVStore'>> & {
  overwriteCache?: TokenCache['overwriteCache']
  removeAccount?: TokenCache['removeAccount']
}

/** What MSAL Node would have to do otherwise, given its own cache and how to clear it. */
type Breaking = (real: TokenCache, clear: () => void) => Overrides

/** A host on an MSAL Node whose token cache does something otherwise. It is an implementation of its own. */
async function host(breaking: Breaking, Plugin = KeyvCachePlugin) {
  const entra = new EntraStandIn({ size: 'small' })
  const plugin = new Plugin({ store: new Keyv(), clientId: CLIENT_ID })
  const user = entra.user()
  await entra.signIn(entra.client(plugin), user)
  const bound = plugin.forAccount(user)
  const client = entra.client(bound)
  const real = client.getTokenCache()
  const state = real as unknown as { cacheHasChanged: boolean }
  const cache = Object.create(real, {
    // MSAL's own state is one, however its methods are called.
    cacheHasChanged: {
      get: () => state.cacheHasChanged,
      set: (value: boolean) => {
        state.cacheHasChanged = value
      },
    },
    ...Object.getOwnPropertyDescriptors(breaking(real, () => client.clearCache())),
  }) as TokenCache
  const load = () => bound.beforeCacheAccess(new TokenCacheContext(cache, false))
  const write = () => bound.beforeCacheAccess(new TokenCacheContext(cache, true))
  return { entra, plugin, user, client, real, cache, load, write }
}

const withoutAppMetadata = (json: string) => JSON.stringify({ ...JSON.parse(json), AppMetadata: {} })

const BROKEN: [what: string, complaint: RegExp, breaking: Breaking][] = [
  ['overwriteCache does not clear', /overwriteCache/, () => ({ async overwriteCache() {} })],
  [
    'overwriteCache clears when it has asked the plugin',
    /overwriteCache\(\) did not clear memory at once/,
    (_, clear) => ({
      async overwriteCache() {
        await undefined
        clear()
      },
    }),
  ],
  [
    'overwriteCache brings app metadata back',
    /overwriteCache\(\) brought something back/,
    (real) => ({
      async overwriteCache() {
        const { AppMetadata } = JSON.parse(real.serialize())
        await real.overwriteCache.call(this)
        real.deserialize(JSON.stringify({ ...emptyCache(), AppMetadata }))
      },
    }),
  ],
  [
    'overwriteCache brings everything back',
    /overwriteCache/,
    (real) => ({
      async overwriteCache() {
        const before = real.serialize()
        await real.overwriteCache.call(this)
        real.deserialize(before)
        real.deserialize('')
      },
    }),
  ],
  [
    'deserialize replaces what is there',
    /deserialize\(\) did not add/,
    (real, clear) => ({
      deserialize(json: string) {
        if (json !== '') clear()
        real.deserialize(json)
      },
    }),
  ],
  ['deserialize does nothing', /deserialize/, () => ({ deserialize() {} })],
  [
    'deserialize of an empty text removes what is there',
    /empty text removed/,
    (real, clear) => ({
      deserialize(json: string) {
        if (json === '') clear()
        real.deserialize(json)
      },
    }),
  ],
  [
    'serialize drops app metadata',
    /app metadata was not kept/,
    (real) => ({ serialize: () => withoutAppMetadata(real.serialize()) }),
  ],
  ['serialize returns no cache', /serialize\(\) returned no token cache/, () => ({ serialize: () => '[]' })],
  ['getKVStore shows nothing', /getKVStore/, () => ({ getKVStore: () => ({}) })],
  ['hasChanged is always true', /hasChanged\(\) was true/, () => ({ hasChanged: () => true })],
  ['hasChanged is never true', /hasChanged\(\) was false/, () => ({ hasChanged: () => false })],
  [
    'removeAccount leaves the tokens',
    /removeAccount\(\) left something/,
    (real) => ({
      async removeAccount(account) {
        const before = real.serialize()
        await real.removeAccount.call(this, account)
        real.deserialize(before)
        real.deserialize('')
      },
    }),
  ],
  [
    'removeAccount removes app metadata',
    /removeAccount\(\) removed app metadata/,
    (real, clear) => ({
      async removeAccount(account) {
        await real.removeAccount.call(this, account)
        clear()
      },
    }),
  ],
]

describe('an MSAL Node that breaks what we rest on is named at the first use', () => {
  test.each(BROKEN)('%s', async (_, complaint, breaking) => {
    const { plugin, user, load, write } = await host(breaking)
    for (const use of [load, write, load]) {
      const error: unknown = await use().catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'ERR_CONFIGURATION', message: expect.stringMatching(complaint) })
      expect((error as Error).message).toContain(`@azure/msal-node ${msalVersion}`)
      expect((error as Error).message).toContain(`msal-keyv ${PACKAGE_VERSION}`)
    }
    expect(await isStored(plugin, user)).toBe(true)
  })

  test('one that keeps to it is not', async () => {
    const { load, cache, user } = await host(() => ({}))
    await load()
    expect(JSON.parse(cache.serialize()).Account).toMatchObject({
      [`${user.homeAccountId}-login.windows.net-${user.tid}`]: { home_account_id: user.homeAccountId },
    })
  })

  test('without the check, what was evicted is still shown', async () => {
    const shownAfterEviction = async (Plugin: typeof KeyvCachePlugin) => {
      const { plugin, user, load, cache } = await host(() => ({ async overwriteCache() {} }), Plugin)
      await load()
      await plugin.evictAccount(user.homeAccountId)
      await load()
      return Object.keys(JSON.parse(cache.serialize()).RefreshToken)
    }
    await expect(shownAfterEviction(KeyvCachePlugin)).rejects.toMatchObject({ code: 'ERR_CONFIGURATION' })
    const broken = await mutant('contract not checked')
    expect(await shownAfterEviction(broken.KeyvCachePlugin)).toHaveLength(1)
  })
})

test('the first use leaves nothing of its probe in memory, and calls the plugin for nothing', async () => {
  const { cache, load, entra, user } = await host(() => ({}))
  await load()
  const text = cache.serialize()
  expect(text).not.toContain('probe')
  expect(new Set(entra.tokensIn(text).map(({ homeAccountId }) => homeAccountId))).toEqual(
    new Set([user.homeAccountId]),
  )
  expect(text).not.toContain(keysOf(user.homeAccountId).partition)
})

test('another call of the same client that clears its memory meanwhile does not make MSAL look broken', async () => {
  for (let steps = 0; steps < 40; steps++) {
    const { client, load } = await host(() => ({}))
    const first = load()
    for (let step = 0; step < steps; step++) await undefined
    // As MSAL does at the start of every acquireTokenSilent.
    client.clearCache()
    await expect(first, `${steps} microtasks later`).resolves.toBeUndefined()
    await load()
  }
})

test('however often memory is cleared meanwhile, the next use is not refused for it', async () => {
  const { client, load } = await host(() => ({}))
  const first = load().then(
    () => 'loaded',
    () => 'refused',
  )
  for (let step = 0; step < 200; step++) {
    await undefined
    client.clearCache()
  }
  await first
  await expect(load()).resolves.toBeUndefined()
})

test('the version that errors name is that of package.json', () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  expect(PACKAGE_VERSION).toBe(version)
})

test('a mark lies in memory beside all else, until memory is cleared', async () => {
  const entra = new EntraStandIn({ size: 'small' })
  const client = entra.client()
  const { account } = await entra.signIn(client, entra.user())
  const cache = client.getTokenCache()
  const contents = () => parseSerialized(cache.serialize())
  const before = contents()

  cache.deserialize(markedCache('1'))
  cache.deserialize('')
  expect([hasMark(contents(), '1'), hasMark(contents(), '2')]).toEqual([true, false])
  expect(withoutMarks(contents())).toEqual(before)
  if (account !== null) await cache.removeAccount(account)
  expect(hasMark(contents(), '1')).toBe(true)
  client.clearCache()
  expect(hasMark(contents(), '1')).toBe(false)
})
