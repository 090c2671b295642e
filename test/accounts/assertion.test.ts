import { describe, expect, test } from 'vitest'
import { isIssuedBefore, readAssertion } from '../../src/accounts/identity.ts'
import { mutant } from '../support/mutant.ts'

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
