import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import { ConfidentialClients } from '../../src/index.ts'
import { EntraStandIn, SCOPES } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'
import { isStored } from '../support/stored.ts'

const postLogoutRedirectUri = 'https://app.example/signed-out'

/** Signs out in a process that has yet to discover the provider, while the user signs out and in elsewhere. */
async function signOutDuringASignIn(
  Clients: typeof ConfidentialClients,
): Promise<{ survives: boolean; url: URL | undefined }> {
  const entra = new EntraStandIn({ flavour: 'oidc', size: 'small' })
  const store = new Keyv()
  const elsewhere = new ConfidentialClients(entra.configuration(), { store })
  const here = new Clients(entra.configuration(), { store })
  const user = entra.user()
  const signIn = async () => (await entra.enter(elsewhere, user)).session
  const old = await signIn()

  const answer = entra.sendGetRequestAsync.bind(entra)
  const [asked, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  entra.sendGetRequestAsync = async (url) => {
    asked.resolve()
    await released.promise
    return answer(url)
  }
  const signingOut = here.signOut(old, { postLogoutRedirectUri })
  await asked.promise
  await elsewhere.plugin.evictAccount(user.homeAccountId)
  const fresh = await signIn()
  released.resolve()
  const url = await signingOut
  return { survives: await elsewhere.plugin.isSignedIn(fresh), url }
}

test('a sign-in made while the provider is being discovered survives the sign-out of the one before', async () => {
  const { survives, url } = await signOutDuringASignIn(ConfidentialClients)
  expect(survives).toBe(true)
  // The hint of another sign-in than the one that signs out would be wrong too.
  expect(url?.searchParams.has('id_token_hint')).toBe(false)
})

test('broken on purpose: without the check it dies', async () => {
  const broken = await mutant('sign-out ends every sign-in')
  expect((await signOutDuringASignIn(broken.ConfidentialClients)).survives).toBe(false)
})

describe('a provider without end_session_endpoint (E6)', () => {
  async function host(Clients = ConfidentialClients) {
    const entra = new EntraStandIn({ flavour: 'oidc', size: 'small' })
    const answer = entra.sendGetRequestAsync.bind(entra)
    entra.sendGetRequestAsync = async <T>(url: string) => {
      const response = await answer<T>(url)
      Reflect.deleteProperty(response.body as object, 'end_session_endpoint')
      return response
    }
    const msal = new Clients(entra.configuration(), { store: new Keyv() })
    const user = entra.user()
    const { session } = await entra.enter(msal, user)
    return { msal, user, session }
  }

  test.each(['account', 'session'] as const)(
    'ends the %s here, and there is nowhere to go on to',
    async (ends) => {
      const { msal, session } = await host()
      expect(await msal.signOut(session, { postLogoutRedirectUri, ends })).toBeUndefined()
      expect(await msal.plugin.isSignedIn(session)).toBe(false)
      await expect(msal.acquireTokenSilent(session, { scopes: SCOPES })).rejects.toThrow()
    },
  )

  test('by id too', async () => {
    const { msal, user } = await host()
    expect(
      await msal.signOut({ homeAccountId: user.homeAccountId }, { postLogoutRedirectUri }),
    ).toBeUndefined()
    expect(await isStored(msal.plugin, user.homeAccountId)).toBe(false)
  })

  test('broken on purpose: the tokens stay', async () => {
    const broken = await mutant('sign-out needs an endpoint')
    const { msal, session } = await host(broken.ConfidentialClients)
    await expect(msal.signOut(session, { postLogoutRedirectUri })).rejects.toThrow()
    expect(await msal.plugin.isSignedIn(session)).toBe(true)
  })
})
