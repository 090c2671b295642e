import { describe, expect, test } from 'vitest'
import { ConfigurationError } from '../../src/errors.ts'
import { checkIssuer, matchesIssuer } from '../../src/logout/issuer.ts'
import { mutant } from '../support/mutant.ts'

const TENANT = '9188040d-6c67-4c5b-b112-36a304b66dad'
const OTHER = '72f988bf-86f1-41af-91ab-2d7cd011db47'
const V2 = 'https://login.microsoftonline.com/{tenantid}/v2.0'
const V1 = 'https://sts.windows.net/{tenantid}/'
const EXTERNAL = 'https://{tenantid}.ciamlogin.com/{tenantid}/v2.0'

describe('an issuer matches', () => {
  test.each([
    ['https://op.example', 'https://op.example'],
    ['https://op.example/', 'https://op.example/'],
    [V2, `https://login.microsoftonline.com/${TENANT}/v2.0`],
    [V1, `https://sts.windows.net/${TENANT}/`],
    [EXTERNAL, `https://${TENANT}.ciamlogin.com/${TENANT}/v2.0`],
  ])('%s: %s', (issuer, candidate) => {
    expect(matchesIssuer(candidate, issuer)).toBe(true)
  })
})

describe('an issuer does not match', () => {
  test.each([
    ['https://op.example', 'https://op.example/'],
    ['https://op.example', 'https://OP.example'],
    ['https://op.example', ''],
    [V2, V2],
    [V2, `https://login.microsoftonline.com/${TENANT}/v2.0/`],
    [V2, `https://login.microsoftonline.com/${TENANT}`],
    [V2, `https://login.microsoftonline.com/${TENANT.toUpperCase()}/v2.0`],
    [V2, `https://login.microsoftonline.com/${TENANT}x/v2.0`],
    [V2, `https://login.microsoftonline.com/common/v2.0`],
    [V2, `https://login.microsoftonline.com//v2.0`],
    [V2, `https://login.microsoftonline.us/${TENANT}/v2.0`],
    [V2, `https://sts.windows.net/${TENANT}/`],
    [V1, `https://sts.windows.net/${TENANT}`],
    [EXTERNAL, `https://${TENANT}.ciamlogin.com/${OTHER}/v2.0`],
  ])('%s: %s', (issuer, candidate) => {
    expect(matchesIssuer(candidate, issuer)).toBe(false)
  })

  test('with what stands for the tenant unchecked, anything would', async () => {
    const broken = await mutant<{ matchesIssuer: typeof matchesIssuer }>(
      'issuer: anything for the tenant',
      'matchesIssuer',
    )
    const candidate = `https://login.microsoftonline.com/${'x'.repeat(36)}/v2.0`
    expect(matchesIssuer(candidate, V2)).toBe(false)
    expect(broken.matchesIssuer(candidate, V2)).toBe(true)
  })
})

describe('an issuer can be configured', () => {
  test.each([
    'https://op.example',
    'https://op.example/realms/a',
    'http://localhost:8080/realms/a',
    'http://127.0.0.1:3000',
    'http://[::1]:3000',
    V2,
    V1,
    EXTERNAL,
    `https://login.microsoftonline.com/${TENANT}/v2.0`,
  ])('%s', (issuer) => {
    expect(checkIssuer(issuer)).toBe(issuer)
  })
})

describe('an issuer that no ID token can have is refused', () => {
  test.each([
    undefined,
    null,
    7,
    '',
    'op.example',
    'http://op.example',
    'http://localhost.evil.example',
    'http://127.0.0.1.evil.example',
    'https://user:secret@op.example',
    'https://op.example?x=1',
    'https://op.example#x',
    'https://op.example/ ',
    'https:\\\\op.example',
    'https://login.microsoftonline.com/{tenantId}/v2.0',
    'https://login.microsoftonline.com/common/v2.0',
    'https://login.microsoftonline.com/organizations/v2.0',
    'https://login.microsoftonline.com/contoso.onmicrosoft.com/v2.0',
    'https://login.microsoftonline.us/common/v2.0',
    'https://sts.windows.net/common/',
  ])('%s', (issuer) => {
    expect(() => checkIssuer(issuer)).toThrow(ConfigurationError)
    expect(() => checkIssuer(issuer)).toThrow('issuer')
  })
})
