import { inspect } from 'node:util'
import { TokenCache } from '@azure/msal-node'
import Keyv from 'keyv'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ConfidentialClients, generateEncryptionKey, type HostSession } from '../../src/index.ts'
import { EntraStandIn, SCOPES, TENANT_ID, type User } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'
import { observe } from '../support/observed-store.ts'
import { isStored, keysOf } from '../support/stored.ts'

type Clients = typeof ConfidentialClients

const request = { scopes: SCOPES }

/** Two processes of one application over one store, and what MSAL read into its memory. */
function host(Clients: Clients = ConfidentialClients, options = {}) {
  const entra = new EntraStandIn({ size: 'small' })
  const map = new Map<string, string>()
  const store = observe(new Keyv(map, { useKeyPrefix: false }))
  const here = new Clients(entra.configuration(), { store: store.keyv, ...options })
  const there = new Clients(entra.configuration(), {
    store: new Keyv(map, { useKeyPrefix: false }),
    ...options,
  })
  const signIn = async (user: User): Promise<HostSession> => {
    return (await entra.enter(here, user)).session
  }
  return { entra, map, store, here, there, signIn }
}

let parses: ReturnType<typeof vi.spyOn>
/** How often MSAL deserialized something since the last look. */
function msalParses(): number {
  const count = parses.mock.calls.filter(([text]: unknown[]) => text !== '').length
  parses.mockClear()
  return count
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-03-01T12:00:00Z') })
  parses = vi.spyOn(TokenCache.prototype, 'deserialize')
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

/** A session whose answer is remembered. */
async function remembered(Clients?: Clients, options?: object) {
  const made = host(Clients, options)
  const user = made.entra.user()
  const session = await made.signIn(user)
  await made.here.acquireTokenSilent(session, request)
  msalParses()
  made.store.calls()
  return { ...made, user, session }
}

describe('a hit', () => {
  test.each([
    ['plain', {}],
    ['sealed', { encryptionKeys: [generateEncryptionKey()] }],
  ])('%s: costs one store call, and MSAL nothing', async (_, options) => {
    const { here, session, store } = await remembered(undefined, options)
    const hit = await here.acquireTokenSilent(session, request)
    expect(hit.fromCache).toBe(true)
    expect(store.calls()).toEqual(['read'])
    expect(msalParses()).toBe(0)
  })

  test('equals what MSAL answers, but for the correlation id, which is the caller’s', async () => {
    const { here, there, session } = await remembered()
    const hit = await here.acquireTokenSilent(session, { ...request, correlationId: 'mine' })
    const asked = await there.acquireTokenSilent(session, { ...request, correlationId: 'mine' })
    expect(msalParses()).toBeGreaterThan(0)
    expect(hit).toEqual(asked)
  })

  test('is off with rememberedAnswers: false', async () => {
    const { here, session } = await remembered(undefined, { rememberedAnswers: false })
    await here.acquireTokenSilent(session, request)
    expect(msalParses()).toBeGreaterThan(0)
  })

  test('is the caller’s own: who changes it changes nobody else’s', async () => {
    const { here, session } = await remembered()
    const first = await here.acquireTokenSilent(session, request)
    const original = structuredClone(first)
    first.scopes.push('everything')
    Object.assign(first.idTokenClaims, { oid: 'another' })
    Object.assign(first.account ?? {}, { homeAccountId: 'another' })
    first.account?.tenantProfiles?.clear()
    first.expiresOn?.setTime(0)
    const second = await here.acquireTokenSilent(session, request)
    expect({ ...second, correlationId: '' }).toEqual({ ...original, correlationId: '' })
  })

  test('for the application, and on behalf of a caller', async () => {
    const { entra, here, store } = host()
    const app = { tenantId: TENANT_ID, scopes: ['https://graph.microsoft.com/.default'] }
    const behalf = { oboAssertion: entra.assertion(entra.user()), scopes: SCOPES }
    const ask = async () => [
      await here.acquireTokenByClientCredential(app),
      await here.acquireTokenOnBehalfOf(behalf),
    ]
    await ask()
    const second = await ask()
    msalParses()
    store.calls()
    const third = await ask()
    expect(third.map(({ accessToken }) => accessToken)).toEqual(second.map(({ accessToken }) => accessToken))
    expect(msalParses()).toBe(0)
    expect(store.calls()).toHaveLength(3)
    expect(entra.tokenRequests).toMatchObject({ client_credentials: 1, on_behalf_of: 1 })
  })
})

describe('a remembered answer is worth nothing at the very next call (P3)', () => {
  test('after an eviction by another process', async () => {
    const { here, there, session } = await remembered()
    await there.plugin.evictAccount(session.homeAccountId)
    await expect(here.acquireTokenSilent(session, request)).rejects.toMatchObject({
      errorCode: 'no_tokens_found',
    })
  })

  test('after an eviction that crashed behind its fence', async () => {
    const { here, there, map, session } = await remembered()
    const { partition } = keysOf(session.homeAccountId)
    const text = map.get(partition) ?? ''
    await there.plugin.evictAccount(session.homeAccountId)
    map.set(partition, text)
    await expect(here.acquireTokenSilent(session, request)).rejects.toMatchObject({
      errorCode: 'no_tokens_found',
    })
  })

  test('after a refresh by another process: the new token', async () => {
    const { here, there, session } = await remembered()
    const refreshed = await there.acquireTokenSilent(session, { ...request, forceRefresh: true })
    expect((await here.acquireTokenSilent(session, request)).accessToken).toBe(refreshed.accessToken)
  })

  test('after another sign-in: its token', async () => {
    const { here, signIn, user, session } = await remembered()
    const before = await here.acquireTokenSilent(session, request)
    await signIn(user)
    expect((await here.acquireTokenSilent(session, request)).accessToken).not.toBe(before.accessToken)
  })

  test('when the record is tampered with', async () => {
    const { here, map, session } = await remembered(undefined, { encryptionKeys: [generateEncryptionKey()] })
    const { partition } = keysOf(session.homeAccountId)
    const text = map.get(partition) ?? ''
    map.set(
      partition,
      text.replace(/.(.{40})"/, (all) => (all.startsWith('A') ? 'B' : 'A') + all.slice(1)),
    )
    await expect(here.acquireTokenSilent(session, request)).rejects.toMatchObject({
      errorCode: 'no_tokens_found',
    })
  })

  test('when the generation record is damaged', async () => {
    const { here, map, session } = await remembered()
    map.set(keysOf(session.homeAccountId).generation, JSON.stringify({ value: 'damaged' }))
    await expect(here.acquireTokenSilent(session, request)).rejects.toMatchObject({
      errorCode: 'no_tokens_found',
    })
  })

  test('when MSAL would renew the token: 300 seconds before it expires', async () => {
    const { here, session } = await remembered()
    vi.setSystemTime(Date.now() + 3299_000)
    expect((await here.acquireTokenSilent(session, request)).fromCache).toBe(true)
    vi.setSystemTime(Date.now() + 2_000)
    expect((await here.acquireTokenSilent(session, request)).fromCache).toBe(false)
  })

  test('when the provider wants it refreshed ahead of time (refresh_in)', async () => {
    const { entra, here, signIn } = host()
    entra.answers.authorization_code = { refreshIn: 600 }
    const session = await signIn(entra.user())
    await here.acquireTokenSilent(session, request)
    vi.setSystemTime(Date.now() + 601_000)
    await here.acquireTokenSilent(session, request)
    expect(entra.tokenRequests.refresh_token).toBe(1)
  })

  test('when the clock was turned back', async () => {
    const { here, session } = await remembered()
    vi.setSystemTime(Date.now() - 10_000)
    expect((await here.acquireTokenSilent(session, request)).fromCache).toBe(false)
  })

  test('when the record has expired', async () => {
    const { here, session } = await remembered(undefined, { ttl: 600_000 })
    vi.setSystemTime(Date.now() + 600_001)
    await expect(here.acquireTokenSilent(session, request)).rejects.toMatchObject({
      errorCode: 'no_tokens_found',
    })
  })

  test.each([
    ['forceRefresh', { forceRefresh: true }],
    ['claims', { claims: JSON.stringify({ access_token: { nbf: { essential: true, value: '1' } } }) }],
  ])('with %s the provider is asked', async (_, more) => {
    const { entra, here, session } = await remembered()
    await here.acquireTokenSilent(session, { ...request, ...more })
    expect(entra.tokenRequests.refresh_token).toBe(1)
  })
})

describe('broken on purpose, it is found', () => {
  test('text not compared: a refresh by another process is not seen', async () => {
    const broken = await mutant('remembered: text not compared')
    const { here, there, session } = await remembered(broken.ConfidentialClients)
    const refreshed = await there.acquireTokenSilent(session, { ...request, forceRefresh: true })
    expect((await here.acquireTokenSilent(session, request)).accessToken).not.toBe(refreshed.accessToken)
  })

  test('generation not looked at: an eviction that crashed behind its fence is not seen', async () => {
    const broken = await mutant('remembered: generation not looked at')
    const { here, there, map, session } = await remembered(broken.ConfidentialClients)
    const { partition } = keysOf(session.homeAccountId)
    const text = map.get(partition) ?? ''
    await there.plugin.evictAccount(session.homeAccountId)
    map.set(partition, text)
    expect((await here.acquireTokenSilent(session, request)).fromCache).toBe(true)
  })

  test('renewal offset ignored: a token that MSAL would renew is handed out', async () => {
    const broken = await mutant('remembered: renewal offset ignored')
    const { here, session } = await remembered(broken.ConfidentialClients)
    vi.setSystemTime(Date.now() + 3400_000)
    expect((await here.acquireTokenSilent(session, request)).fromCache).toBe(true)
  })

  test('shared by reference: who changes an answer changes the next one', async () => {
    const broken = await mutant('remembered: shared by reference')
    const { here, session } = await remembered(broken.ConfidentialClients)
    const first = await here.acquireTokenSilent(session, request)
    first.scopes.push('everything')
    expect((await here.acquireTokenSilent(session, request)).scopes).toContain('everything')
  })
})

describe('bounds', () => {
  const ask = async (Clients: Clients, users: number, options: object) => {
    const { entra, here, signIn } = host(Clients, { rememberedAnswers: options })
    const sessions: HostSession[] = []
    for (let n = 0; n < users; n++) sessions.push(await signIn(entra.user()))
    for (const session of sessions) await here.acquireTokenSilent(session, request)
    msalParses()
    // From the last to the first, so that asking pushes nothing out that is still to come.
    for (const session of sessions.reverse()) await here.acquireTokenSilent(session, request)
    return users - msalParses()
  }

  test('so many answers, and so many bytes, and the last used stay', async () => {
    expect(await ask(ConfidentialClients, 20, { entries: 5 })).toBe(5)
    expect(await ask(ConfidentialClients, 20, { bytes: 20_000 })).toBeLessThan(8)
    expect(await ask(ConfidentialClients, 20, {})).toBe(20)
  })

  test('with the bound lifted, more are kept', async () => {
    const lifted = await mutant('remembered: bound lifted')
    expect(await ask(lifted.ConfidentialClients, 20, { entries: 5 })).toBe(20)
  })

  test('an eviction in this process forgets what was acquired on behalf of the account too (E11)', async () => {
    const forgotten = async (library = { ConfidentialClients }) => {
      const entra = new EntraStandIn({ size: 'small' })
      const msal = new library.ConfidentialClients(entra.configuration(), { store: new Keyv() })
      const user = entra.user()
      const request = { oboAssertion: entra.assertion(user), scopes: ['Mail.Read'] }
      for (let n = 0; n < 2; n++) await msal.acquireTokenOnBehalfOf(request)
      const forget = vi.spyOn(Map.prototype, 'delete')
      forget.mockClear()
      await msal.plugin.evictAccount(user.homeAccountId)
      return forget.mock.calls.some(([key]) => String(key).includes('on behalf of'))
    }
    expect(await forgotten()).toBe(true)
    expect(await forgotten(await mutant('answers on behalf of somebody have no owner'))).toBe(false)
  })

  test('a generation record that says nothing is not one that is absent (E10)', async () => {
    const served = async (library = { ConfidentialClients }) => {
      const entra = new EntraStandIn({ size: 'small' })
      const map = new Map<string, string>()
      const store = new Keyv(map, { useKeyPrefix: false })
      const msal = new library.ConfidentialClients(entra.configuration(), { store })
      const user = entra.user()
      await entra.signIn(entra.client(msal.plugin), user)
      const ask = () => msal.acquireTokenSilent({ homeAccountId: user.homeAccountId }, { scopes: SCOPES })
      await ask()
      const [partition = ''] = [...map.keys()].filter((key) => key.endsWith('_p'))
      map.set(`${partition.slice(0, -1)}g`, JSON.stringify({ value: '' }))
      expect(await isStored(msal.plugin, user)).toBe(false)
      return ask().then(
        () => true,
        () => false,
      )
    }
    expect(await served()).toBe(false)
    expect(await served(await mutant('remembered: what is empty is what is absent'))).toBe(true)
  })

  test('an eviction in this process forgets at once', async () => {
    const forget = vi.spyOn(Map.prototype, 'delete')
    const { here, session } = await remembered()
    forget.mockClear()
    await here.plugin.evictAccount(session.homeAccountId)
    expect(forget.mock.calls.some(([key]) => String(key).includes(session.homeAccountId))).toBe(true)
  })

  test.each([
    ['a number', 7],
    ['null', null],
    ['another member', { size: 5 }],
    ['a negative number', { entries: -1 }],
    ['a fraction', { bytes: 0.5 }],
  ])('%s is an error that names the option', (_, rememberedAnswers) => {
    const entra = new EntraStandIn()
    const make = () =>
      new ConfidentialClients(entra.configuration(), {
        store: new Keyv(),
        rememberedAnswers: rememberedAnswers as { entries: number },
      })
    expect(make).toThrow(/rememberedAnswers/)
  })
})

test('nothing of it comes out by inspect, JSON or an error (P9)', async () => {
  const { entra, here, there, session } = await remembered()
  await there.plugin.evictAccount(session.homeAccountId)
  const error: unknown = await here.acquireTokenSilent(session, request).catch((failure: unknown) => failure)
  const texts = [
    inspect(here, { depth: 9, showHidden: true }),
    JSON.stringify(here),
    inspect(error, { depth: 9 }),
  ]
  expect(entra.tokensIn(texts.join())).toEqual([])
})

test('a setInterval that returns a number, as test environments for browsers have it, breaks nothing (E21)', async () => {
  const run = async (Clients: Clients) => {
    vi.stubGlobal('setInterval', () => 1)
    try {
      const { here, signIn, entra } = host(Clients)
      await here.acquireTokenSilent(await signIn(entra.user()), request)
    } finally {
      vi.unstubAllGlobals()
    }
  }
  await run(ConfidentialClients)
  const broken = await mutant('timers taken for objects')
  await expect(run(broken.ConfidentialClients)).rejects.toThrow(TypeError)
})
