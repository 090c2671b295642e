import type { AccountInfo } from '@azure/msal-node'
import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import { ConfidentialClients, type HostSession, KeyvCachePlugin, LogoutHandler } from '../../src/index.ts'
import {
  type Answer,
  acquireSilently,
  CLIENT_ID,
  EntraStandIn,
  SCOPES,
  TENANT_ID,
  type User,
} from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'
import { observe } from '../support/observed-store.ts'
import { keysOf, storedPartition, storedText } from '../support/stored.ts'

// One test for each way in which somebody got through, or was locked out, by its number in the list of attacks.

const ISSUER = `https://login.microsoftonline.com/${TENANT_ID}/v2.0`

function host(entra = new EntraStandIn({ size: 'small' }), options = {}) {
  const map = new Map<string, string>()
  const store = observe(new Keyv(map, { useKeyPrefix: false }))
  const msal = new ConfidentialClients(entra.configuration(), { store: store.keyv, ...options })
  const { plugin } = msal
  const signIn = async (user: User, sessionState?: string): Promise<HostSession> => {
    return (await entra.enter(msal, user, { sessionState })).session
  }
  return { entra, map, store, msal, plugin, signIn, silent: msal.acquireTokenSilent.bind(msal) }
}

test('F5: a sign-in that has read an unreadable generation does not end a newer one, after an eviction meanwhile', async () => {
  const { entra, store, plugin, signIn, map } = host()
  const other = new ConfidentialClients(entra.configuration(), {
    store: new Keyv(map, { useKeyPrefix: false }),
  })
  const user = entra.user()
  const old = await signIn(user)
  map.set(keysOf(user.homeAccountId).generation, JSON.stringify({ value: 'damaged' }))
  let newer: HostSession | undefined
  const meanwhile = async () => {
    if (newer !== undefined) return
    await other.plugin.evictAccount(user.homeAccountId)
    newer = (await entra.enter(other, user)).session
  }
  // Whatever the sign-in asks of the store after its first read.
  store.before('read', () => {
    store.before('read', meanwhile)
    store.before('write', meanwhile)
  })
  await signIn(user)
  expect(newer).toBeDefined()
  expect(await plugin.isSignedIn(newer ?? old)).toBe(true)
  expect(await plugin.isSignedIn(old)).toBe(false)
})

describe('F6: an id that evictAccount refuses', () => {
  test.each([
    ['a trailing space', 'alice '],
    ['a control character', 'al\u0007ice'],
    ['1,025 characters', 'x'.repeat(1025)],
  ])('%s: is not stored, and the error names it (P14)', async (_, uid) => {
    const entra = new EntraStandIn({ flavour: 'oidc', size: 'small' })
    const { map, signIn } = host(entra)
    await expect(signIn(entra.user({ uid }))).rejects.toMatchObject({
      code: 'ERR_CONFIGURATION',
      message: expect.stringContaining('homeAccountId'),
    })
    expect(map.size).toBe(0)
  })

  test('without the check, what is stored cannot be evicted (P14)', async () => {
    const { KeyvCachePlugin: Broken } = await mutant('an account stored that cannot be evicted')
    const entra = new EntraStandIn({ flavour: 'oidc', size: 'small' })
    const map = new Map<string, string>()
    const plugin = new Broken({ store: new Keyv(map, { useKeyPrefix: false }), clientId: CLIENT_ID })
    const user = entra.user({ uid: 'alice ' })
    await entra.signIn(entra.client(plugin), user)
    expect(map.size).toBeGreaterThan(0)
    await expect(plugin.evictAccount(user.homeAccountId)).rejects.toThrow(TypeError)
  })

  test('one that an older release stored does not keep a callback from ending the others', async () => {
    const { entra, map, msal, plugin, signIn } = host()
    const user = entra.user({ sid: 'shared' })
    const session = await signIn(user)
    const [key, text] = [...map].find(([name]) => name.endsWith('_s')) ?? expect.fail('no link')
    const record = (JSON.parse(text) as { value: string }).value
    const [header = '', body = '[]'] = record.split('\n')
    const [row = []] = JSON.parse(body) as unknown[][]
    const rows = [['alice ', ...row.slice(1)], row]
    map.set(key, JSON.stringify({ value: `${header}\n${JSON.stringify(rows)}` }))
    const outcome = await new LogoutHandler(msal, { issuer: ISSUER }).handle({
      method: 'GET',
      url: '/?sid=shared',
    })
    expect(outcome.evicted).toHaveLength(2)
    expect(await plugin.isSignedIn(session)).toBe(false)
  })
})

describe('F7: what browsers send as session_state', () => {
  test('100 strangers with the sid of a victim push nobody out, and one callback costs at most ten store calls', async () => {
    const { entra, store, msal, plugin, signIn } = host()
    const victim = await signIn(entra.user({ sid: 'of the victim' }))
    for (let n = 0; n < 100; n++) await signIn(entra.user({ sid: null }), 'of the victim')
    store.calls()
    const outcome = await new LogoutHandler(msal, { issuer: ISSUER }).handle({
      method: 'GET',
      url: `/?${new URLSearchParams({ sid: 'of the victim' })}`,
    })
    expect(store.calls().length).toBeLessThanOrEqual(10)
    expect(outcome.evicted.length).toBeLessThanOrEqual(5)
    expect(await plugin.isSignedIn(victim)).toBe(false)
  })

  test('who came first by session_state stays, and dead sign-ins leave first', async () => {
    const { entra, msal, plugin, signIn } = host()
    const dead = await Promise.all([1, 2, 3].map(() => signIn(entra.user({ sid: null }), 'state')))
    for (const { homeAccountId } of dead) await plugin.evictAccount(homeAccountId)
    const victim = await signIn(entra.user({ sid: null }), 'state')
    for (let n = 0; n < 20; n++) await signIn(entra.user({ sid: null }), 'state')
    await new LogoutHandler(msal, { issuer: ISSUER }).handle({ method: 'GET', url: '/?sid=state' })
    expect(await plugin.isSignedIn(victim)).toBe(false)
  })
})

describe('F8: removeAccount that removes nothing', () => {
  test('of a record that this server cannot open is an error', async () => {
    const { entra, map, plugin, signIn } = host()
    const user = entra.user()
    await signIn(user)
    const account = (await entra
      .client(plugin.forAccount(user))
      .getTokenCache()
      .getAccountByHomeId(user.homeAccountId)) as AccountInfo
    const { partition } = keysOf(user.homeAccountId)
    map.set(partition, JSON.stringify({ value: 'v1.another-key.AAAA' }))
    const cache = entra.client(plugin.forAccount(user)).getTokenCache()
    await expect(cache.removeAccount(account)).rejects.toMatchObject({
      code: 'ERR_CONFIGURATION',
      message: expect.stringContaining('evictAccount'),
    })
  })

  test('with an id alone is an error, and leaves the account', async () => {
    const { entra, plugin, signIn } = host()
    const session = await signIn(entra.user())
    const cache = entra.client(plugin.forAccount(session)).getTokenCache()
    await cache.getAllAccounts()
    const { homeAccountId } = session
    await expect(cache.removeAccount({ homeAccountId } as AccountInfo)).rejects.toThrow(/evictAccount/)
    expect(await plugin.isSignedIn(session)).toBe(true)
  })
})

describe('F9: an answer that names nobody', () => {
  const unnamed: Answer = { omit: ['id_token', 'client_info'] }

  test("to another's code on a client of an account is not the account's", async () => {
    const entra = new EntraStandIn({ flavour: 'oidc', size: 'small' })
    const { map, plugin, signIn } = host(entra)
    const [alice, bob] = [entra.user(), entra.user()]
    const session = await signIn(alice)
    entra.answers.authorization_code = unnamed
    const stolen = await entra.signIn(entra.client(plugin.forAccount(session)), bob)
    expect([...map.values()].join()).not.toContain(stolen.accessToken)
  })

  test("to a refresh of the account's own is the account's", async () => {
    const entra = new EntraStandIn({ flavour: 'oidc', size: 'small' })
    const { map, plugin, signIn } = host(entra)
    const alice = entra.user()
    const session = await signIn(alice)
    entra.answers.refresh_token = unnamed
    const client = entra.client(plugin.forAccount(session))
    const refreshed = await acquireSilently(client, alice.homeAccountId, { forceRefresh: true })
    expect([...map.values()].join()).toContain(refreshed.accessToken)
  })

  test("to a user's code on a client of the application is not the application's", async () => {
    const entra = new EntraStandIn({ size: 'small' })
    const { map, plugin } = host(entra)
    entra.answers.authorization_code = { omit: ['id_token', 'client_info', 'refresh_token', 'scope'] }
    const client = entra.client(plugin.forApp(TENANT_ID))
    const redeemed = await entra.signIn(client, entra.user(), ['api://x/read']).catch(() => undefined)
    expect([...map.values()].join()).not.toContain(redeemed?.accessToken ?? 'nothing came')
    expect(map.size).toBe(0)
  })
})

test('F10: the load from before an eviction, answered last, shows nothing', async () => {
  const { entra, store, plugin, signIn } = host()
  const user = entra.user()
  await signIn(user)
  const cache = entra.client(plugin.forAccount({ homeAccountId: user.homeAccountId })).getTokenCache()
  const late = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  const { keyv } = store
  const read = keyv.getMany.bind(keyv)
  let isFirst = true
  const slow = Object.create(keyv, {
    getMany: {
      async value(keys: string[]) {
        const wait = isFirst
        isFirst = false
        const values = await read(keys)
        if (wait) {
          begun.resolve()
          await late.promise
        }
        return values
      },
    },
  }) as typeof keyv
  const bound = new KeyvCachePlugin({ store: slow, clientId: CLIENT_ID }).forAccount({
    homeAccountId: user.homeAccountId,
  })
  const client = entra.client(bound).getTokenCache()
  const before = client.getAllAccounts()
  await begun.promise
  await plugin.evictAccount(user.homeAccountId)
  expect(await client.getAllAccounts()).toEqual([])
  late.resolve()
  expect(await before).toEqual([])
  expect(await cache.getAllAccounts()).toEqual([])
})

test('F12: a plaintext record with a tenant profile or a claim that is none yields no token, and no exception', async () => {
  const { entra, map, plugin, signIn } = host()
  const user = entra.user()
  await signIn(user)
  const { partition } = keysOf(user.homeAccountId)
  const record = (JSON.parse(map.get(partition) ?? '') as { value: string }).value
  const header = record.slice(0, record.indexOf('\n'))
  const cache = JSON.parse(record.slice(header.length + 1)) as Record<
    string,
    Record<string, Record<string, unknown>>
  >
  const change = (section: string, member: string, value: unknown) => {
    const [[key, entity] = ['', {}]] = Object.entries(cache[section] ?? {})
    return { ...cache, [section]: { [key]: { ...entity, [member]: value } } }
  }
  const claims = (of: object) => `e30.${Buffer.from(JSON.stringify(of)).toString('base64url')}.sig`
  for (const damaged of [
    change('Account', 'tenantProfiles', ['null']),
    change('Account', 'tenantProfiles', ['{}']),
    change('Account', 'tenantProfiles', ['not JSON']),
    change('IdToken', 'secret', claims({ tid: 7 })),
    change('IdToken', 'secret', 'no.jwt'),
  ]) {
    map.set(partition, JSON.stringify({ value: `${header}\n${JSON.stringify(damaged)}` }))
    const client = entra.client(plugin.forAccount({ homeAccountId: user.homeAccountId }))
    expect(await client.getTokenCache().getAllAccounts()).toEqual([])
    await expect(acquireSilently(client, user.homeAccountId)).rejects.toMatchObject({
      errorCode: 'no_tokens_found',
    })
  }
})

test('F13: a user whose object id and subject are equal is no application, and an eviction ends it', async () => {
  const { entra, map, msal } = host()
  const user = entra.user({ oid: 'same', sub: 'same' })
  const oboAssertion = entra.assertion(user, { idtyp: undefined })
  entra.answers.on_behalf_of = { omit: ['id_token', 'client_info'] }
  const { accessToken } = await msal.acquireTokenOnBehalfOf({ oboAssertion, scopes: SCOPES })
  expect([...map.values()].join()).not.toContain(accessToken)
})

describe('U1: an eviction deletes', () => {
  test("long-running processes' refresh tokens, and says that something ended", async () => {
    const { entra, map, msal, plugin, store } = host()
    const user = entra.user()
    for (const key of ['one', 'two', 'three']) {
      await msal.acquireTokenInLongRunningProcess(key, {
        scopes: SCOPES,
        oboAssertion: entra.assertion(user),
      })
    }
    expect(entra.tokensIn([...map.values()].join()).some(({ kind }) => kind === 'refresh_token')).toBe(true)
    store.calls()
    expect(await plugin.evictAccount(user.homeAccountId)).toMatchObject({ existed: true })
    expect(store.calls()).toHaveLength(3)
    expect(entra.tokensIn([...map.values()].join()).filter(({ kind }) => kind === 'refresh_token')).toEqual(
      [],
    )
    expect(await plugin.evictAccount(user.homeAccountId)).toMatchObject({ existed: false })
  })

  test('of an account that an API acts for, it says that something ended', async () => {
    const { entra, msal, plugin } = host()
    const user = entra.user()
    await msal.acquireTokenOnBehalfOf({ oboAssertion: entra.assertion(user), scopes: SCOPES })
    expect(await plugin.evictAccount(user.homeAccountId)).toMatchObject({ existed: true })
  })

  test('nothing else, whatever the list of an account says', async () => {
    const { entra, map, msal, plugin, signIn } = host()
    const [alice, bob] = [entra.user(), entra.user()]
    const session = await signIn(bob)
    await msal.acquireTokenOnBehalfOf({ oboAssertion: entra.assertion(alice), scopes: SCOPES })
    const [key, text] = [...map].find(([name]) => name.endsWith('_i')) ?? expect.fail('no list')
    const [header] = (JSON.parse(text) as { value: string }).value.split('\n')
    const rows = [[keysOf(bob.homeAccountId).partition, Date.now() + 60_000]]
    map.set(key, JSON.stringify({ value: `${header}\n${JSON.stringify(rows)}` }))
    await plugin.evictAccount(alice.homeAccountId)
    expect(await plugin.isSignedIn(session)).toBe(true)
  })
})

describe('U3: a refresh token that is refused', () => {
  test.each([
    ['for good', 'entra', { error: 'invalid_grant', suberror: 'bad_token' }],
    ['for good, by another provider', 'oidc', { error: 'invalid_grant' }],
  ] as const)(
    '%s leaves the store, and the next call does not ask the provider',
    async (_, flavour, answer) => {
      const entra = new EntraStandIn({ flavour, size: 'small' })
      const { signIn, silent } = host(entra)
      const user = entra.user()
      const session = await signIn(user)
      entra.answers.refresh_token = answer
      await expect(silent(session, { scopes: SCOPES, forceRefresh: true })).rejects.toThrow()
      expect(entra.tokenRequests.refresh_token).toBe(1)
      await expect(silent(session, { scopes: ['api://other/read'] })).rejects.toThrow()
      expect(entra.tokenRequests.refresh_token).toBe(1)
    },
  )

  test.each([
    ['consent', { error: 'invalid_grant', suberror: 'consent_required' }],
    ['conditional access', { error: 'invalid_grant', suberror: 'basic_action' }],
    ['an interaction', { error: 'interaction_required' }],
    ['a server error', { error: 'temporarily_unavailable' }],
  ] as const)('for now, by %s, stays', async (_, answer) => {
    const { entra, store, signIn, silent } = host()
    const user = entra.user()
    const session = await signIn(user)
    const before = await storedText(store.keyv, user.homeAccountId)
    entra.answers.refresh_token = answer
    await expect(silent(session, { scopes: SCOPES, forceRefresh: true })).rejects.toThrow()
    expect(await storedText(store.keyv, user.homeAccountId)).toBe(before)
  })

  test('but another one that a sign-in has stored meanwhile stays', async () => {
    const { entra, store, signIn, silent } = host()
    const user = entra.user()
    const session = await signIn(user)
    entra.answers.refresh_token = { error: 'invalid_grant', suberror: 'bad_token' }
    const held = entra.hold(({ grant }) => grant === 'refresh_token')
    const refused = silent(session, { scopes: SCOPES, forceRefresh: true })
    await held.arrived
    await signIn(user)
    held.release()
    await expect(refused).rejects.toThrow()
    const { RefreshToken } = await storedPartition(store.keyv, user.homeAccountId)
    expect(Object.keys(RefreshToken)).toHaveLength(1)
  })
})
