import type { AuthenticationResult } from '@azure/msal-node'
import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import { isIssuedBefore, readAssertion } from '../../src/accounts/identity.ts'
import { KeyvCachePlugin } from '../../src/index.ts'
import { mutant } from '../support/mutant.ts'

describe('home account ids', () => {
  const plugin = new KeyvCachePlugin({ store: new Keyv(), clientId: 'client' })
  const calls: [string, (id: never) => unknown][] = [
    ['forAccount', (id) => plugin.forAccount(id)],
    ['forAccount, as an object', (id) => plugin.forAccount({ homeAccountId: id })],
    ['isSignedIn', (id) => plugin.isSignedIn(id)],
    ['evictAccount', (id) => plugin.evictAccount(id)],
    [
      'openSession',
      (id) => plugin.openSession({ account: { homeAccountId: id } } as unknown as AuthenticationResult),
    ],
  ]
  const bad: [string, unknown][] = [
    ['empty', ''],
    ['a number', 7],
    ['undefined', undefined],
    ['null', null],
    ['too long', 'x'.repeat(1025)],
    ['with a control character', 'secret-id\u0000'],
    ['with a line break', 'secret-id\nx'],
    ['with white space in front', ' secret-id'],
    ['with white space behind', 'secret-id\u00a0'],
  ]
  test.each(calls.flatMap(([name, call]) => bad.map(([what, id]) => [name, what, call, id] as const)))(
    '%s: %s is a TypeError that does not quote it',
    async (_name, _what, call, id) => {
      const error: unknown = await (async () => call(id as never))().catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(TypeError)
      expect((error as Error).message).toMatch(/home ?account ?id/i)
      expect((error as Error).message).not.toContain('secret-id')
    },
  )

  test('a session without its generation, and a result without account, are refused', async () => {
    expect(() => plugin.forAccount({ homeAccountId: 'a', generation: '' })).toThrow(/generation/)
    await expect(plugin.openSession({ account: null } as AuthenticationResult)).rejects.toThrow(/result/)
    await expect(plugin.openSession(undefined as unknown as AuthenticationResult)).rejects.toThrow(TypeError)
  })
})

type Assertions = { readAssertion: typeof readAssertion; isIssuedBefore: typeof isIssuedBefore }

const TENANT = '9188040d-6c67-4c5b-b112-36a304b66dad'
/** In epoch seconds. */
const EVICTED_AT = 1_750_000_000

/** Whether a token of this issuer counts as issued before the eviction, when it says that it is some seconds older. */
function isRefused(
  iss: string,
  age: number,
  { readAssertion: read, isIssuedBefore: isBefore }: Assertions,
): boolean {
  const iat = EVICTED_AT - age
  const claims = Buffer.from(JSON.stringify({ iss, iat, nbf: iat })).toString('base64url')
  return isBefore(read(`e30.${claims}.signature`), EVICTED_AT * 1000)
}

const library: Assertions = { readAssertion, isIssuedBefore }

describe('a token that says to be issued five minutes early', () => {
  test.each([
    `https://login.microsoftonline.com/${TENANT}/v2.0`,
    `https://login.microsoftonline.us/${TENANT}/v2.0`,
    `https://login.partner.microsoftonline.cn/${TENANT}/v2.0`,
    `https://sts.windows.net/${TENANT}/`,
    `https://sts.chinacloudapi.cn/${TENANT}/`,
  ])('%s: is believed to be dated back', (iss) => {
    expect(isRefused(iss, 299, library)).toBe(false)
    expect(isRefused(iss, 300, library)).toBe(true)
  })

  // B2C: published tokens have one time for iat, nbf and auth_time. External ID: nothing published says.
  test.each([
    `https://contoso.b2clogin.com/${TENANT}/v2.0/`,
    `https://${TENANT}.ciamlogin.com/${TENANT}/v2.0`,
    'https://op.example',
    `https://login.microsoftonline.com.evil.example/${TENANT}/v2.0`,
  ])('%s: is as old as it says, so that none from before an eviction passes (F14)', async (iss) => {
    expect(isRefused(iss, 0, library)).toBe(true)
    expect(isRefused(iss, 299, library)).toBe(true)
    const broken = await mutant<Assertions>('every issuer dates back', 'readAssertion')
    expect(isRefused(iss, 299, broken)).toBe(false)
  })
})
