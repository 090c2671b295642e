import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { decodeJwt } from 'jose'
import Keyv from 'keyv'
import { beforeAll, expect, test } from 'vitest'
import { generateEncryptionKey } from '../../src/index.ts'
import { CLIENT_ID, TENANT_ID } from '../support/entra.ts'
import { type EveryFlow, KINDS, kindOf, runEveryFlow } from '../support/every-flow.ts'

const page = readFileSync(new URL('../../docs/record-format.md', import.meta.url), 'utf8')

/** The rows of the page's tables that begin with this cell, without it. */
function cells(first: string): string[][] {
  const rows = page.split('\n').filter((line) => line.startsWith(`| \`${first}\` |`))
  return rows.map((row) =>
    row
      .split('|')
      .slice(2, -1)
      .map((cell) => cell.trim()),
  )
}

/** By the page. */
function keyOf(kind: string, value: string): string {
  return `mk1_{${digestOf(kind, value)}}_${kind}`
}

function digestOf(kind: string, value: string): string {
  const [, name = ''] = cells(kind).find((row) => row.length === 4) ?? []
  const identity = JSON.stringify([name.replaceAll('`', ''), CLIENT_ID, null, value])
  return createHash('sha256').update(identity).digest('base64url')
}

let world: EveryFlow
const plaintext = new Map<string, string>()
const sealed = new Map<string, string>()

beforeAll(async () => {
  world = await runEveryFlow(new Keyv(plaintext, { useKeyPrefix: false }), {}, 'small')
  const encryptionKeys = [generateEncryptionKey()]
  await runEveryFlow(new Keyv(sealed, { useKeyPrefix: false }), { encryptionKeys }, 'small')
})

test('docs/record-format.md says what every record is called', () => {
  const { entra, ada, evicted, assertion, sessionKey, logoutToken } = world
  const issuer = entra.issuerFor(TENANT_ID)
  const template = issuer.replace(TENANT_ID, '{tenantid}')
  const hash = createHash('sha256').update(assertion).digest('base64url')
  const { jti } = decodeJwt(logoutToken)
  const expected = {
    p: keyOf('p', ada.homeAccountId),
    g: keyOf('g', evicted[0]?.homeAccountId ?? ''),
    i: keyOf('i', ada.homeAccountId),
    a: keyOf('a', TENANT_ID.toLowerCase()),
    o: keyOf('o', hash),
    l: keyOf('l', sessionKey),
    s: keyOf('s', JSON.stringify([template, ada.sid])),
    u: keyOf('u', JSON.stringify([template, 'the session of Grace'])),
    n: keyOf('n', JSON.stringify([template, ada.sub])),
    d: keyOf('d', JSON.stringify([ada.tid, ada.oid])),
    j: keyOf('j', JSON.stringify([issuer, jti])),
  }
  expect([...plaintext.keys()]).toEqual(expect.arrayContaining(Object.values(expected)))
  expect(Object.keys(expected).map((kind) => `_${kind}`)).toEqual([...KINDS])
})

test('docs/record-format.md says what the epoch of a session is called, and what links say', async () => {
  const map = new Map<string, string>()
  const store = new Keyv(map, { useKeyPrefix: false })
  const { msal, ada, session } = await runEveryFlow(store, {}, 'small')
  await msal.signOut(session, { postLogoutRedirectUri: 'https://app.example/', ends: 'session' })
  const mark = digestOf('e_<digest>', ada.sid ?? '')
  const account = keyOf('g', ada.homeAccountId).slice(0, -1)
  expect([...map.keys()].filter((key) => key.includes('}_e_'))).toEqual([`${account}e_${mark}`])

  const issuer = world.entra.issuerFor(TENANT_ID)
  const key = keyOf('s', JSON.stringify([issuer.replace(TENANT_ID, '{tenantid}'), ada.sid]))
  const { value } = JSON.parse(map.get(key) ?? '{}') as { value: string }
  const [row] = JSON.parse(value.slice(value.indexOf('\n'))) as unknown[][]
  const time = expect.any(Number)
  expect(row).toEqual([ada.homeAccountId, session.generation, issuer, time])
})

test('docs/record-format.md says which records are sealed', () => {
  for (const [key, text] of sealed) {
    const [, , , isSealed] = cells(kindOf(key)?.slice(1) ?? '').find((row) => row.length === 4) ?? []
    expect([key, text.includes('"v1.') ? 'yes' : 'no']).toEqual([key, isSealed])
  }
})

test('docs/record-format.md says what stands in the header of each', () => {
  const meanings = Object.fromEntries(
    ['v', 'k', 'g', 'o', 's', 'a', 'x'].map((name) => [name, cells(name).at(-1)?.[0] ?? '']),
  )
  for (const [key, text] of plaintext) {
    const kind = kindOf(key)?.slice(1)
    const { value } = JSON.parse(text) as { value: string }
    const header = JSON.parse(value.slice(0, value.indexOf('\n'))) as object
    const said = Object.entries(meanings).filter(([name, meaning]) => {
      const [, kinds] = /, in ((?:`\w`(?:, | and )?)+)/.exec(meaning) ?? []
      return kinds === undefined || !['g', 'o', 's', 'a'].includes(name) || kinds.includes(`\`${kind}\``)
    })
    expect([kind, ...Object.keys(header)]).toEqual([kind, ...said.map(([name]) => name)])
  }
})
