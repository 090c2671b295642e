// Refresh tokens that work once (B4, B5), and what a refusal leaves behind.
import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import { ConfidentialClients, LogoutHandler } from '../../src/index.ts'
import { EntraStandIn, type TokenRequest } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'
import { observe } from '../support/observed-store.ts'

type Library = Pick<typeof import('../../src/index.ts'), 'ConfidentialClients'>

/** Two processes on one store, and a provider whose refresh tokens work once. */
async function host(library: Library = { ConfidentialClients }) {
  const entra = new EntraStandIn({ flavour: 'oidc', size: 'small' })
  const used = new Set<string>()
  entra.answers.refresh_token = ({ parameters }: TokenRequest) => {
    const token = parameters.get('refresh_token') ?? ''
    if (used.has(token)) return { error: 'invalid_grant' }
    used.add(token)
    return {}
  }
  const map = new Map<string, string>()
  const store = observe(new Keyv(map, { useKeyPrefix: false }))
  const clients = (keyv: Keyv) => new library.ConfidentialClients(entra.configuration(), { store: keyv })
  const here = clients(store.keyv as Keyv)
  const there = clients(new Keyv(map, { useKeyPrefix: false }))
  const user = entra.user()
  await entra.signIn(entra.client(here.plugin), user)
  const ask = (msal: ConfidentialClients, scope: string) =>
    msal.acquireTokenSilent({ homeAccountId: user.homeAccountId }, { scopes: [scope], forceRefresh: true })
  return { entra, map, store, here, there, user, ask }
}

const fulfilled = (calls: readonly Promise<unknown>[]) =>
  Promise.allSettled(calls).then((all) => all.filter(({ status }) => status === 'fulfilled').length)

describe('two processes refresh with one token that works once (B4)', () => {
  async function race(library?: Library) {
    const { entra, store, here, there, ask } = await host(library)
    // The one has been answered and is about to store it, when the other is refused.
    const refused = entra.hold(({ grant }) => grant === 'refresh_token')
    const loser = ask(there, 'Mail.Read')
    await refused.arrived
    store.before('write', () => refused.release())
    const count = await fulfilled([ask(here, 'Mail.Read'), loser])
    return { count, next: await fulfilled([ask(here, 'Mail.Read')]) }
  }

  test('both get a token, and the good one is kept', async () => {
    expect(await race()).toEqual({ count: 2, next: 1 })
  })

  test('broken on purpose, the loser is told to sign in', async () => {
    expect((await race(await mutant('nobody looks again after a refusal'))).count).toBe(1)
  })
})

test('one process, three scopes at once: each waits for its turn (B5)', async () => {
  const scopes = ['Mail.Read', 'Files.Read', 'Tasks.Read']
  const { entra, here, ask } = await host()
  expect(await fulfilled(scopes.map((scope) => ask(here, scope)))).toBe(3)
  expect(entra.tokenRequests.refresh_token).toBe(3)
  const broken = await host(await mutant('refreshes of one record take no turns'))
  await fulfilled(scopes.map((scope) => broken.ask(broken.here, scope)))
  expect(broken.entra.tokenRequests.refresh_token).toBeGreaterThan(3)
})

describe('a token that is refused for good', () => {
  async function refused(library?: Library) {
    const all = await host(library)
    all.entra.answers.refresh_token = { error: 'invalid_grant' }
    await expect(all.ask(all.there, 'Mail.Read')).rejects.toMatchObject({ errorCode: 'invalid_grant' })
    return all
  }

  test('is asked with once; the record stays as it is, and says so beside it', async () => {
    const { entra, map, there, user, ask } = await refused()
    await expect(ask(there, 'Mail.Read')).rejects.toMatchObject({ errorCode: 'no_tokens_found' })
    expect(entra.tokenRequests.refresh_token).toBe(1)
    // The access token is good, until it expires.
    expect(
      (await there.acquireTokenSilent({ homeAccountId: user.homeAccountId }, { scopes: ['User.Read'] }))
        .fromCache,
    ).toBe(true)
    expect([...map.keys()].filter((key) => key.endsWith('_r'))).toHaveLength(1)
    await there.plugin.evictAccount(user.homeAccountId)
    expect([...map.keys()].filter((key) => key.endsWith('_r'))).toEqual([])
  })

  test('broken on purpose, it is asked with again', async () => {
    const { entra, there, ask } = await refused(await mutant('a refused token is shown'))
    await expect(ask(there, 'Mail.Read')).rejects.toMatchObject({ errorCode: 'invalid_grant' })
    expect(entra.tokenRequests.refresh_token).toBe(2)
  })

  test('costs no sign-in that comes meanwhile (P3)', async () => {
    const { entra, map, here, there, user, ask } = await host()
    const held = entra.hold(({ grant }) => grant === 'refresh_token')
    entra.answers.refresh_token = { error: 'invalid_grant' }
    const refresh = ask(there, 'Mail.Read')
    await held.arrived
    await entra.signIn(entra.client(here.plugin), user)
    delete entra.answers.refresh_token
    held.release()
    expect(await fulfilled([refresh, ask(here, 'Mail.Read')])).toBe(2)
    expect([...map.keys()].filter((key) => key.endsWith('_r'))).toEqual([])
  })
})

describe('who came on behalf of only, or by long-running work, is found (N2)', () => {
  async function found(
    kind: 'on behalf of' | 'long-running',
    library?: Library & { LogoutHandler?: typeof LogoutHandler },
  ) {
    const entra = new EntraStandIn({ size: 'small' })
    const map = new Map<string, string>()
    const store = new Keyv(map, { useKeyPrefix: false })
    const Library = { ConfidentialClients, LogoutHandler, ...library }
    const msal = new Library.ConfidentialClients(entra.configuration(), { store })
    const user = entra.user({ sid: 'a session' })
    const oboAssertion = entra.assertion(user)
    const scopes = ['Mail.Read']
    const work = () =>
      kind === 'on behalf of'
        ? msal.acquireTokenOnBehalfOf({ oboAssertion, scopes })
        : msal.acquireTokenInLongRunningProcess('the work', { oboAssertion, scopes })
    await work()
    expect((await work()).fromCache).toBe(true)
    const issuer = entra.issuerFor(user.tid)
    const outcome = await new Library.LogoutHandler(msal, { issuer }).handle({
      method: 'GET',
      url: '/?sid=a+session',
    })
    return {
      result: outcome.result,
      stored: entra.tokensIn([...map.values()].join()).map((each) => each.kind),
    }
  }

  test.each(['on behalf of', 'long-running'] as const)('%s', async (kind) => {
    const { result, stored } = await found(kind)
    expect(result).toBe('evicted')
    expect(stored).not.toContain('refresh_token')
  })

  test('broken on purpose, they are not', async () => {
    const broken = await mutant('on behalf of somebody: not linked')
    expect((await found('long-running', broken)).result).toBe('unknown-session')
  })

  test('by the directory’s event too', async () => {
    const entra = new EntraStandIn({ size: 'small' })
    const msal = new ConfidentialClients(entra.configuration(), { store: new Keyv() })
    const user = entra.user()
    await msal.acquireTokenInLongRunningProcess('work', {
      oboAssertion: entra.assertion(user),
      scopes: ['Mail.Read'],
    })
    expect(await msal.plugin.evictDirectoryUser(user.tid, user.oid)).toMatchObject([
      { homeAccountId: user.homeAccountId, existed: true },
    ])
  })
})
