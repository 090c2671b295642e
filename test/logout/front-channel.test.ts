import { describe, expect, test } from 'vitest'
import type { MutantName } from '../support/mutants.ts'
import { brokenParse, type Options, parse, refusal, shown, status } from './outcome.ts'
import { ISSUER } from './provider.ts'

const TENANT = 'https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0'
const V1_TENANT = 'https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad/'
const V2 = { issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0' }
const V1 = { issuer: 'https://sts.windows.net/{tenantid}/' }

function get(query: string): Request {
  return new Request(`https://rp.example/logout${query}`)
}

function query(parameters: Record<string, string>): string {
  return `?${new URLSearchParams(parameters)}`
}

describe('read: 200', () => {
  const cases: [name: string, query: string, callback: object, options?: Options][] = [
    ['conformance suite: iss and sid', query({ iss: ISSUER, sid: 's' }), { sid: 's', issuer: ISSUER }],
    ['conformance suite: iss not encoded', `?iss=${ISSUER}&sid=s`, { sid: 's', issuer: ISSUER }],
    ['conformance suite: no session required, so neither', '', {}],
    ['Entra ID: sid only', query({ sid: 's' }), { sid: 's' }, V2],
    ['sid with v2 tenant', query({ sid: 's', iss: TENANT }), { sid: 's', issuer: TENANT }, V2],
    ['sid with v1 tenant', query({ sid: 's', iss: V1_TENANT }), { sid: 's', issuer: V1_TENANT }, V1],
    ['iss only', query({ iss: ISSUER }), { issuer: ISSUER }],
    ['parameters of the route, and unknown ones', '?tenant=1&sid=s&x=y&x=z', { sid: 's' }],
    ['empty values count as absent', '?sid=&iss=', {}],
    ['sid of any printable characters', query({ sid: "ü +/='😀" }), { sid: "ü +/='😀" }],
    ['sid of 1,024 characters', query({ sid: 'x'.repeat(1024) }), { sid: 'x'.repeat(1024) }],
    ['what is no percent encoding', '?sid=%ZZ', { sid: '%ZZ' }],
  ]
  for (const [name, search, callback, options] of cases) {
    test(name, async () => {
      expect(await parse(get(search), options)).toEqual({ kind: 'front-channel', ...callback })
    })
  }
})

describe('of another issuer: neither a session nor an error', () => {
  const cases: [name: string, query: string, issuer: string, options?: Options][] = [
    ['with sid', query({ iss: 'https://other.example', sid: 's' }), 'https://other.example'],
    ['without sid', query({ iss: 'https://other.example' }), 'https://other.example'],
    ['the same with a slash', query({ iss: `${ISSUER}/`, sid: 's' }), `${ISSUER}/`],
    ['v1 where v2 is expected', query({ iss: V1_TENANT, sid: 's' }), V1_TENANT, V2],
    ['the template itself', query({ iss: V2.issuer, sid: 's' }), V2.issuer, V2],
  ]
  for (const [name, search, issuer, options] of cases) {
    test(name, async () => {
      expect(await parse(get(search), options)).toEqual({ kind: 'foreign-issuer', issuer })
    })
  }

  test('with the issuer unchecked, it would name a session', async () => {
    const broken = await brokenParse('callback: any issuer in the query')
    const callback = await broken(get(query({ iss: 'https://other.example', sid: 's' })))
    expect(callback).toMatchObject({ kind: 'front-channel', sid: 's' })
  })
})

describe('refused: 400, and with the check removed 200', () => {
  const duplicates = 'request: parameters twice'
  const length = 'request: values of any length'
  const control = 'request: control characters'
  const cases: [name: string, unchecked: MutantName, query: string][] = [
    ['sid twice', duplicates, '?sid=a&sid=b'],
    ['sid twice, the same', duplicates, '?sid=a&sid=a'],
    ['sid twice, once empty', duplicates, '?sid=&sid=a'],
    ['iss twice', duplicates, `?sid=a&iss=${ISSUER}&iss=https://other.example`],
    ['sid of 1,025 characters', length, query({ sid: 'x'.repeat(1025) })],
    ['iss of 1,025 characters', length, query({ iss: 'x'.repeat(1025) })],
    ['line break in sid', control, '?sid=a%0d%0ab'],
    ['null in sid', control, '?sid=a%00'],
    ['C1 control in sid', control, '?sid=%C2%85'],
    ['a URL of 64 KiB', 'request: URL of any length', `?x=${'x'.repeat(64 * 1024)}`],
  ]
  for (const [name, unchecked, search] of cases) {
    test(name, async () => {
      const error = await refusal(parse(get(search)))
      expect(error).toMatchObject({ status: 400, keysUnavailable: false })
      expect(await status((await brokenParse(unchecked))(get(search)))).toBe(200)
    })
  }
})

test('a refusal does not show what it refuses (P9)', async () => {
  for (const search of [
    '?sid=secret-1&sid=secret-2',
    query({ sid: `secret${'x'.repeat(1025)}` }),
    '?sid=secret%00',
  ]) {
    expect(shown(await refusal(parse(get(search))))).not.toContain('secret')
  }
})
