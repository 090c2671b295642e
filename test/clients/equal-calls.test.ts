import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import { ConfidentialClients } from '../../src/index.ts'
import { EntraStandIn, SCOPES } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'

const FLOWS = ['app', 'on behalf of', 'long-running'] as const

/** How many requests the provider gets for 20 equal calls at once. */
async function requestsFor(flow: (typeof FLOWS)[number], Clients = ConfidentialClients): Promise<number> {
  const entra = new EntraStandIn({ size: 'small' })
  const msal = new Clients(entra.configuration(), { store: new Keyv() })
  const oboAssertion = entra.assertion(entra.user())
  const call = {
    app: () => msal.acquireTokenByClientCredential({ tenantId: 'contoso', scopes: ['api://a/.default'] }),
    'on behalf of': () => msal.acquireTokenOnBehalfOf({ oboAssertion, scopes: SCOPES }),
    'long-running': () => msal.acquireTokenInLongRunningProcess('a key', { oboAssertion, scopes: SCOPES }),
  }[flow]
  await Promise.all(Array.from({ length: 20 }, call))
  return Object.values(entra.tokenRequests).reduce((sum, count) => sum + count)
}

describe.each(FLOWS)('20 equal calls at once: %s', (flow) => {
  test('make one request to the provider (P17)', async () => {
    expect(await requestsFor(flow)).toBe(1)
  })

  test('broken on purpose: with nothing shared they make more', async () => {
    expect(
      await requestsFor(flow, (await mutant('equal calls share nothing')).ConfidentialClients),
    ).toBeGreaterThan(1)
  })
})
