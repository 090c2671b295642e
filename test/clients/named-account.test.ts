import Keyv from 'keyv'
import { expect, test } from 'vitest'
import { ConfidentialClients } from '../../src/index.ts'
import { EntraStandIn, SCOPES } from '../support/entra.ts'

const msal = new ConfidentialClients(new EntraStandIn({ size: 'small' }).configuration(), {
  store: new Keyv(),
})

test.each([undefined, null, 7, true, 'uid.utid'])(
  'a session in which nobody is signed in (%s) is named as what is missing',
  async (nobody) => {
    const account = nobody as never
    const calls = [
      msal.acquireTokenSilent(account, { scopes: SCOPES }),
      msal.signOut(account, { postLogoutRedirectUri: 'https://app.example/' }),
    ]
    for (const call of calls) {
      await expect(call).rejects.toBeInstanceOf(TypeError)
      await expect(call).rejects.toThrow(/^account must be the session that completeSignIn returned/)
    }
  },
)

test('what is an account but holds no id is named by its member', async () => {
  for (const account of [{}, { homeAccountId: '' }, { homeAccountId: 7 }]) {
    await expect(msal.acquireTokenSilent(account as never, { scopes: SCOPES })).rejects.toThrow(
      /^homeAccountId must/,
    )
  }
})
