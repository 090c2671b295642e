import { Keyv } from 'keyv'
import { expect, test } from 'vitest'
import { ConfidentialClients } from '../../src/index.ts'
import { EntraStandIn, SCOPES } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'

const redirectUri = 'https://app.example/callback'

/** What the calls of a signed-in user reject with: after an eviction, and for a code that was redeemed before. */
async function statuses(Clients: typeof ConfidentialClients): Promise<unknown[]> {
  const entra = new EntraStandIn({ size: 'small' })
  const msal = new Clients(entra.configuration(), { store: new Keyv() })
  const { url, pending } = await msal.beginSignIn({ scopes: SCOPES, redirectUri })
  const response = entra.authorize(url, entra.user())
  const { session } = await msal.completeSignIn(pending, response)
  await msal.plugin.evictAccount(session.homeAccountId)
  const calls = [
    msal.acquireTokenSilent(session, { scopes: SCOPES }),
    msal.completeSignIn(pending, { ...response, code: 'redeemed before' }),
    msal.completeSignIn(undefined, response),
  ]
  return Promise.all(
    calls.map((call) =>
      call.then(
        () => 'no error',
        (error: { status?: unknown }) => error.status,
      ),
    ),
  )
}

test('an evicted user and a used code are answered with 401, a response to nothing with 400', async () => {
  expect(await statuses(ConfidentialClients)).toEqual([401, 401, 400])
})

test('errors as MSAL throws them have no such status', async () => {
  const broken = await mutant('MSAL says which status to answer')
  expect(await statuses(broken.ConfidentialClients)).not.toEqual([401, 401, 400])
})
