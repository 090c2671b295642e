import Keyv from 'keyv'
import { expect, test } from 'vitest'
import { ConfidentialClients } from '../../src/index.ts'
import { EntraStandIn } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'

const postLogoutRedirectUri = 'https://app.example/signed-out'

/** Signs out in a process that has yet to discover the provider, while the user signs out and in elsewhere. */
async function signOutDuringASignIn(
  Clients: typeof ConfidentialClients,
): Promise<{ survives: boolean; url: URL }> {
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
  expect(url.searchParams.has('id_token_hint')).toBe(false)
})

test('broken on purpose: without the check it dies', async () => {
  const broken = await mutant('sign-out ends every sign-in')
  expect((await signOutDuringASignIn(broken.ConfidentialClients)).survives).toBe(false)
})
