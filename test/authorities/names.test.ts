import { version } from '@azure/msal-node'
import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import { ConfidentialClients, ConfigurationError, type HostSession } from '../../src/index.ts'
import { importCache } from '../../src/migrate/index.ts'
import { EntraStandIn, SCOPES, TENANT_ID, type User } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'

const redirectUri = 'https://app.example/callback'
const MORE = ['Mail.Read']
const WORLDWIDE = ['login.microsoftonline.com', 'login.windows.net', 'login.microsoft.com', 'sts.windows.net']

function host(stand = new EntraStandIn({ size: 'small' }), Clients = ConfidentialClients) {
  const map = new Map<string, string>()
  const presented: string[] = []
  stand.answers.refresh_token = ({ parameters }) => {
    presented.push(parameters.get('refresh_token') ?? '')
    return {}
  }
  const of = (auth: object = {}, options: object = {}) => {
    const configuration = stand.configuration(undefined, { auth: auth as never })
    return new Clients(configuration, {
      store: new Keyv({ store: map }),
      rememberedAnswers: false,
      ...options,
    })
  }
  const signIn = async (msal: ConfidentialClients, user: User): Promise<HostSession> => {
    const { url, pending } = await msal.beginSignIn({ scopes: SCOPES, redirectUri })
    return (await msal.completeSignIn(pending, stand.authorize(url, user))).session
  }
  const partition = () => [...map].find(([key]) => key.endsWith('_p'))?.[1] ?? ''
  const refreshTokens = () => stand.tokensIn(partition()).filter(({ kind }) => kind === 'refresh_token')
  return { stand, map, of, signIn, presented, partition, refreshTokens }
}

describe('one cloud under several names (W5)', () => {
  /** An account's cache as another MSAL wrote it, under one of the cloud's names. */
  async function foreignCache(stand: EntraStandIn, user: User, environment: string): Promise<string> {
    const client = stand.client()
    await stand.signIn(client, user)
    return client.getTokenCache().serialize().replaceAll('login.windows.net', environment)
  }

  /** An import under one name, a refresh, and the refresh tokens that the record has then. */
  async function importAndRefresh(environment: string, Clients = ConfidentialClients) {
    const all = host(undefined, Clients)
    const { stand, of, presented, refreshTokens } = all
    const user = stand.user()
    const msal = of()
    const { imported } = await importInto(msal, await foreignCache(stand, user, environment))
    const [session = expect.fail('not imported')] = imported
    await msal.acquireTokenSilent(session, { scopes: MORE })
    return { ...all, msal, user, session, presented, left: refreshTokens() }
  }

  test.each(WORLDWIDE)(
    '%s: after an import and a refresh one refresh token is left, the newest',
    async (name) => {
      const { msal, session, presented, left } = await importAndRefresh(name)
      expect(left).toHaveLength(1)
      await msal.acquireTokenSilent(session, { scopes: ['Files.Read'] })
      expect(presented).toEqual([expect.any(String), left[0]?.token])
    },
  )

  test('broken on purpose: where names count as hosts, two lie side by side', async () => {
    const { ConfidentialClients: Broken } = await mutant('names of a cloud told apart')
    const { left } = await importAndRefresh('login.microsoft.com', Broken)
    expect(left.length).toBeGreaterThan(1)
  })

  test.each(WORLDWIDE)('%s: who signs in again after an import joins the record', async (name) => {
    const { stand, of, signIn, refreshTokens } = host()
    const user = stand.user()
    const msal = of()
    await importInto(msal, await foreignCache(stand, user, name))
    const session = await signIn(msal, user)
    expect(refreshTokens()).toHaveLength(1)
    const { fromCache } = await msal.acquireTokenSilent(session, { scopes: SCOPES })
    expect(fromCache).toBe(true)
  })

  test.each([
    [[], ['login.microsoftonline.com']],
    [['login.microsoftonline.com'], []],
  ])(
    'knownAuthorities %j becomes %j between two deployments: one record, one refresh token',
    async (before, after) => {
      const { stand, of, signIn, refreshTokens } = host()
      const user = stand.user()
      const session = await signIn(of({ knownAuthorities: before }), user)
      const later = of({ knownAuthorities: after })
      await later.acquireTokenSilent(session, { scopes: MORE })
      expect(refreshTokens()).toHaveLength(1)
      expect((await later.acquireTokenSilent(session, { scopes: MORE })).fromCache).toBe(true)
      await signIn(later, user)
      expect(refreshTokens()).toHaveLength(1)
    },
  )

  test('a cache in which one owner has two refresh tokens is imported with the newest', async () => {
    const { stand, of, refreshTokens } = host()
    const user = stand.user()
    const client = stand.client()
    await stand.signIn(client, user)
    const old = JSON.parse(
      client.getTokenCache().serialize().replaceAll('login.windows.net', 'sts.windows.net'),
    )
    await stand.signIn(client, user)
    const fresh = JSON.parse(client.getTokenCache().serialize())
    const both = Object.fromEntries(
      Object.keys(fresh).map((section) => [section, { ...old[section], ...fresh[section] }]),
    )
    await importInto(of(), JSON.stringify(both))
    expect(refreshTokens().map(({ chain }) => chain)).toEqual([2])
  })

  test(`the names are those of MSAL Node ${version}`, async () => {
    const { cloudOf } = await import('../../src/accounts/origin.ts')
    for (const name of [
      ...WORLDWIDE,
      'login.microsoftonline.us',
      'login.usgovcloudapi.net',
      'login.partner.microsoftonline.cn',
      'login.chinacloudapi.cn',
    ]) {
      const stand = new EntraStandIn({ authority: `https://${name}/${TENANT_ID}`, size: 'small' })
      const client = stand.client()
      await client.getAuthCodeUrl({ scopes: SCOPES, redirectUri })
      const [entity] = Object.values(client.getTokenCache().getKVStore()).filter(
        (each) => typeof each === 'object' && 'aliases' in each,
      )
      const { aliases } = entity as { aliases: string[] }
      expect([...(cloudOf(name) ?? [])].sort()).toEqual([...aliases].sort())
    }
  })
})

describe('B2C moves to a custom domain (W6)', () => {
  const path = 'contoso.onmicrosoft.com/b2c_1_signin'
  const [OLD, NEW] = [`https://contoso.b2clogin.com/${path}`, `https://login.contoso.example/${path}`]

  async function moved(options: object) {
    const all = host(new EntraStandIn({ flavour: 'b2c', authority: OLD, size: 'small' }))
    const { stand, of, signIn } = all
    const user = stand.user()
    const old = await signIn(of(), user)
    const auth = { authority: NEW, knownAuthorities: ['login.contoso.example'] }
    return { ...all, user, old, later: of(auth, options) }
  }

  test('who was signed in is asked to sign in again, by both ways; the old refresh token goes nowhere', async () => {
    const { stand, old, later } = await moved({})
    const silent = later.acquireTokenSilent(old, { scopes: MORE })
    await expect(silent).rejects.toMatchObject({ name: 'InteractionRequiredAuthError' })
    const credential = later.credentialFor(old).getToken(MORE)
    await expect(credential).rejects.toMatchObject({ code: 'ERR_AUTHENTICATION_REQUIRED' })
    expect(stand.tokenRequests.refresh_token).toBe(0)
  })

  test('without the host’s word a new sign-in is refused, and says what to set and whom to evict', async () => {
    const { map, later, signIn, user } = await moved({})
    const before = [...map]
    const error: unknown = await signIn(later, user).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ConfigurationError)
    expect(String(error)).toMatch(/movedFrom.*namespace/)
    expect(String(error)).not.toContain(user.homeAccountId)
    expect(JSON.stringify(error)).not.toContain(user.homeAccountId)
    expect(error).toHaveProperty('homeAccountId', user.homeAccountId)
    expect([...map]).toEqual(before)
  })

  test('with movedFrom the next sign-in replaces what was stored, and no old token is left', async () => {
    const { stand, later, signIn, user, presented, partition } = await moved({
      movedFrom: ['contoso.b2clogin.com'],
    })
    const session = await signIn(later, user)
    expect(stand.tokensIn(partition()).map(({ chain }) => chain)).not.toContain(1)
    expect((await later.acquireTokenSilent(session, { scopes: SCOPES })).fromCache).toBe(true)
    await later.acquireTokenSilent(session, { scopes: MORE })
    expect(stand.ownerOf(presented[0] ?? '')?.chain).toBe(2)
  })

  test('movedFrom says only where from: a third host’s record stays closed', async () => {
    const { later, signIn, user } = await moved({ movedFrom: ['other.b2clogin.com'] })
    await expect(signIn(later, user)).rejects.toBeInstanceOf(ConfigurationError)
  })
})

function importInto(msal: ConfidentialClients, serialized: string) {
  return importCache(msal.plugin, serialized)
}
