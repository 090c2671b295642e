import { channel } from 'node:diagnostics_channel'
import Keyv from 'keyv'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { ConfidentialClients, type HostSession, LogoutHandler } from '../../src/index.ts'
import { acquireSilently, EntraStandIn, SCOPES, TENANT_ID, type User } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'
import { observe } from '../support/observed-store.ts'

const ISSUER = `https://login.microsoftonline.com/${TENANT_ID}/v2.0`
const postLogoutRedirectUri = 'https://app.example/signed-out'

function host({
  ends = 'session' as 'account' | 'session',
  Library = { ConfidentialClients, LogoutHandler },
} = {}) {
  const entra = new EntraStandIn({ size: 'small' })
  const map = new Map<string, string>()
  const store = observe(new Keyv(map, { useKeyPrefix: false }))
  const process = (keyv = new Keyv(map, { useKeyPrefix: false })) => {
    const msal = new Library.ConfidentialClients(entra.configuration(), { store: keyv })
    const logout = new Library.LogoutHandler(msal, { issuer: ISSUER, ends })
    const callback = (sid: string) =>
      logout.handle({ method: 'GET', url: `/?${new URLSearchParams({ sid })}` })
    const signIn = async (user: User): Promise<HostSession> => {
      return (await entra.enter(msal, user)).session
    }
    return { msal, plugin: msal.plugin, logout, callback, signIn }
  }
  const here = process(store.keyv as Keyv)
  const there = process()
  /** One person in several browsers: the same account, a session of the provider in each. */
  const person = entra.user()
  const browser = (sid: string | null) => here.signIn({ ...person, sid })
  return { entra, map, store, here, there, person, browser }
}

const isAlive = async (
  { msal, plugin }: { msal: ConfidentialClients; plugin: ConfidentialClients['plugin'] },
  session: HostSession,
) => {
  const silent = await msal.acquireTokenSilent(session, { scopes: SCOPES }).then(
    () => true,
    () => false,
  )
  expect(await plugin.isSignedIn(session)).toBe(silent)
  return silent
}

describe("ends: 'session'", () => {
  test('a callback ends the session that it names, in every process, and others go on', async () => {
    const { entra, here, there, browser } = host()
    const [one, two] = [await browser('one'), await browser('two')]
    const outcome = await here.callback('one')
    expect(outcome).toMatchObject({
      status: 200,
      result: 'session-ended',
      evicted: [],
      endedAlone: [{ homeAccountId: one.homeAccountId, sid: 'one' }],
    })
    for (const process of [here, there]) {
      expect(await isAlive(process, one)).toBe(false)
      expect(await isAlive(process, two)).toBe(true)
    }
    const bound = entra.client(there.plugin.forAccount(one))
    await expect(acquireSilently(bound, one.homeAccountId)).rejects.toMatchObject({
      errorCode: 'no_tokens_found',
    })
  })

  test('the tokens go with the last session', async () => {
    const { entra, map, here, browser } = host()
    await browser('one')
    const two = await browser('two')
    await here.callback('one')
    expect((await here.callback('two')).evicted).toEqual([{ homeAccountId: two.homeAccountId, sid: 'two' }])
    expect(entra.tokensIn([...map.values()].join())).toEqual([])
  })

  test('replays and late callbacks do no harm', async () => {
    const { here, browser } = host()
    await browser('one')
    const two = await browser('two')
    await here.callback('one')
    await here.callback('one')
    expect(await isAlive(here, two)).toBe(true)
    await here.callback('two')
    const fresh = await browser('three')
    for (const sid of ['one', 'two']) expect((await here.callback(sid)).result).toBe('stale-session')
    expect(await isAlive(here, fresh)).toBe(true)
  })

  test('a new sign-in in the same session of the provider works at once, and the ended one stays ended (P5)', async () => {
    const { here, there, browser } = host()
    await browser('other')
    const old = await browser('one')
    await here.callback('one')
    const fresh = await browser('one')
    for (const process of [here, there]) {
      expect(await isAlive(process, fresh)).toBe(true)
      expect(await isAlive(process, old)).toBe(false)
    }
    await here.callback('one')
    expect(await isAlive(there, fresh)).toBe(false)
  })

  test('a session that a browser named only (session_state) ends likewise', async () => {
    const { here, entra, person, browser } = host()
    await browser('other')
    const unsigned = { ...person, sid: null }
    const { session } = await entra.enter(here.msal, unsigned, { sessionState: 'unsigned' })
    expect((await here.callback('unsigned')).result).toBe('session-ended')
    expect(await isAlive(here, session)).toBe(false)
  })

  test('costs no additional store call: sign-in 2, hit 1, refresh 3', async () => {
    const { store, here, browser } = host()
    const session = await browser('one')
    store.calls()
    await browser('one')
    expect(store.calls()).toHaveLength(2)
    await here.msal.acquireTokenSilent(session, { scopes: SCOPES })
    expect(store.calls()).toHaveLength(1)
    await here.msal.acquireTokenSilent(session, { scopes: SCOPES, forceRefresh: true })
    expect(store.calls()).toHaveLength(3)
    await here.callback('one')
    expect(store.calls().length).toBeLessThanOrEqual(9)
  })

  test('signOut takes the same choice', async () => {
    const { here, browser } = host()
    const [one, two] = [await browser('one'), await browser('two')]
    await here.msal.signOut(one, { postLogoutRedirectUri, ends: 'session' })
    expect([await isAlive(here, one), await isAlive(here, two)]).toEqual([false, true])
    await here.msal.signOut(two, { postLogoutRedirectUri })
    expect(await isAlive(here, two)).toBe(false)
    await expect(here.msal.signOut(two, { postLogoutRedirectUri, ends: 'tab' as 'session' })).rejects.toThrow(
      /ends must be/,
    )
  })

  test('an option that is neither is an error', () => {
    const { here } = host()
    const make = () => new LogoutHandler(here.msal, { issuer: ISSUER, ends: 'tab' as 'session' })
    expect(make).toThrow(/ends must be 'account' or 'session'/)
  })

  test("'account', the default, ends all of the user's browsers", async () => {
    const { here, browser } = host({ ends: 'account' })
    const [one, two] = [await browser('one'), await browser('two')]
    await here.callback('one')
    expect([await isAlive(here, one), await isAlive(here, two)]).toEqual([false, false])
  })
})

describe('races', () => {
  test('a refresh of the ended session in flight stores nothing under it, and its session stays dead', async () => {
    const { entra, here, there, browser } = host()
    const [one, two] = [await browser('one'), await browser('two')]
    const held = entra.hold(({ grant }) => grant === 'refresh_token')
    const refresh = there.msal.acquireTokenSilent(one, { scopes: SCOPES, forceRefresh: true })
    await held.arrived
    await here.callback('one')
    held.release()
    await refresh
    expect([await isAlive(there, one), await isAlive(there, two)]).toEqual([false, true])
  })

  test('two last sessions that end at once leave no token, in whatever order', async () => {
    for (let order = 0; order < 6; order++) {
      const { entra, map, store, here, there, browser } = host()
      await browser('one')
      await browser('two')
      // The second callback runs from beginning to end before one of the store calls of the first.
      let calls = 0
      let other: Promise<unknown> | undefined
      const meanwhile = () => {
        if (calls++ === order) other = there.callback('two')
        return other
      }
      for (const call of ['read', 'read', 'read', 'read', 'write', 'write', 'write'] as const) {
        store.before(call, meanwhile)
      }
      await here.callback('one')
      await (other ?? there.callback('two'))
      expect(entra.tokensIn([...map.values()].join())).toEqual([])
    }
  })

  test('a sign-in while the last session ends is there, or asks once more: it is never half there', async () => {
    for (let order = 0; order < 7; order++) {
      const { store, here, there, person, browser } = host()
      await browser('one')
      let calls = 0
      let signedIn: Promise<HostSession> | undefined
      const meanwhile = () => {
        if (calls++ === order) signedIn = there.signIn({ ...person, sid: 'two' })
        return signedIn
      }
      for (const call of ['read', 'read', 'read', 'read', 'read', 'write', 'write', 'delete'] as const) {
        store.before(call, meanwhile)
      }
      await here.callback('one')
      const session = await (signedIn ?? there.signIn({ ...person, sid: 'two' }))
      expect(typeof (await isAlive(here, session))).toBe('boolean')
      expect(await isAlive(there, await there.signIn({ ...person, sid: 'two' }))).toBe(true)
    }
  })

  test('broken on purpose: with its epoch not read, the session lives on', async () => {
    const broken = await mutant('epoch of an ended session not read')
    const { here, browser } = host({ Library: broken })
    await browser('two')
    const one = await browser('one')
    await here.callback('one')
    expect(await here.plugin.isSignedIn(one)).toBe(true)
  })

  test('broken on purpose: with ended sessions counted as others, the tokens outlive the last one', async () => {
    const broken = await mutant('ended sessions count as others')
    const { entra, map, here, browser } = host({ Library: broken })
    await browser('one')
    await browser('two')
    await here.callback('one')
    await here.callback('two')
    expect(entra.tokensIn([...map.values()].join())).not.toEqual([])
  })
})

describe('listSessions', () => {
  test('says from where, since when, and which one asks, without a secret', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-03-01T12:00:00Z') })
    const { here, browser } = host()
    await browser('one')
    vi.setSystemTime(new Date('2026-03-01T12:10:00Z'))
    const two = await browser('two')
    const sessions = await here.plugin.listSessions(two)
    expect(sessions).toEqual([
      expect.objectContaining({
        issuer: ISSUER,
        namedBy: 'sid',
        firstSeen: new Date('2026-03-01T12:00:00Z'),
        isCurrent: false,
      }),
      expect.objectContaining({
        issuer: ISSUER,
        namedBy: 'sid',
        firstSeen: new Date('2026-03-01T12:10:00Z'),
        isCurrent: true,
      }),
    ])
    expect(JSON.stringify(sessions)).not.toContain('one')
    await here.callback('one')
    expect(await here.plugin.listSessions({ homeAccountId: two.homeAccountId })).toHaveLength(1)
    await here.plugin.evictAccount(two.homeAccountId)
    expect(await here.plugin.listSessions(two)).toEqual([])
  })

  afterEach(() => {
    vi.useRealTimers()
  })
})

describe('evictDirectoryUser', () => {
  test('evicts home users and guests, in any letter case, and repeating does nothing', async () => {
    const { entra, here, there } = host()
    const home = entra.user()
    const guest = entra.user({
      tid: '11111111-2222-4333-8444-555555555555',
      oid: 'AAAAAAAA-2222-4333-8444-555555555555',
    })
    const sessions = [await here.signIn(home), await here.signIn(guest)]
    for (const [index, { tid, oid }] of [home, guest].entries()) {
      const evictions = await there.plugin.evictDirectoryUser(tid.toUpperCase(), oid.toUpperCase())
      expect(evictions).toEqual([
        { homeAccountId: sessions[index]?.homeAccountId, evictedAt: expect.any(Date), existed: true },
      ])
      expect(await here.plugin.isSignedIn(sessions[index] as HostSession)).toBe(false)
      expect(await there.plugin.evictDirectoryUser(tid, oid)).toEqual([])
    }
  })

  test('an event of before a new sign-in ends that too, and an unknown user is nobody', async () => {
    const { entra, here } = host()
    const user = entra.user()
    await here.signIn(user)
    await here.plugin.evictDirectoryUser(user.tid, user.oid)
    const fresh = await here.signIn(user)
    await here.plugin.evictDirectoryUser(user.tid, user.oid)
    expect(await here.plugin.isSignedIn(fresh)).toBe(false)
    expect(await here.plugin.evictDirectoryUser(user.tid, '00000000-0000-4000-8000-000000000000')).toEqual([])
  })

  test.each([
    ['tenantId', 'common', '00000000-0000-4000-8000-000000000000'],
    ['tenantId', undefined, '00000000-0000-4000-8000-000000000000'],
    ['objectId', TENANT_ID, 'alice@contoso.example'],
    ['objectId', TENANT_ID, ''],
  ])('%s that is no GUID is a TypeError that names it', async (name, tenantId, objectId) => {
    const { here } = host()
    await expect(here.plugin.evictDirectoryUser(tenantId as string, objectId)).rejects.toThrow(
      new RegExp(`^${name}`),
    )
  })
})

describe('an issuer that matches no sign-in is loud', () => {
  const handler = (msal: ConfidentialClients, issuer: string) => new LogoutHandler(msal, { issuer })

  test.each([
    ['a trailing slash', `${ISSUER}/`],
    ['v1 for v2', `https://sts.windows.net/${TENANT_ID}/`],
    ['another tenant', ISSUER.replace(TENANT_ID, '11111111-2222-4333-8444-555555555555')],
  ])('%s: at the first sign-in, and at the callback', async (_, issuer) => {
    const entra = new EntraStandIn({ size: 'small' })
    const msal = new ConfidentialClients(entra.configuration(), { store: new Keyv() })
    const logout = handler(msal, issuer)
    const events: unknown[] = []
    const listen = (event: unknown) => void events.push(event)
    channel('msal-keyv:issuer-mismatch').subscribe(listen)
    await entra.enter(msal, entra.user({ sid: 's' }))
    expect(events).toEqual([{ issuer: ISSUER }])
    const outcome = await logout.handle({ method: 'GET', url: '/?sid=s' })
    expect(outcome).toMatchObject({ status: 200, result: 'issuer-mismatch', evicted: [] })
    expect(events).toHaveLength(2)
    channel('msal-keyv:issuer-mismatch').unsubscribe(listen)
  })

  test('with a handler for each issuer nothing is said', async () => {
    const entra = new EntraStandIn({ size: 'small' })
    const msal = new ConfidentialClients(entra.configuration(), { store: new Keyv() })
    handler(msal, ISSUER)
    const other = handler(msal, 'https://op.example')
    await entra.enter(msal, entra.user())
    expect((await other.handle({ method: 'GET', url: '/?sid=s' })).result).toBe('unknown-session')
  })
})
