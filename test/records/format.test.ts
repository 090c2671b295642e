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

/** By the page, with the `name`s that it gives for a kind. */
function keysOf(kind: string, value: string): string[] {
  const [, names = ''] = cells(kind).find((row) => row.length === 4) ?? []
  return names.split(', ').map((name) => {
    const identity = JSON.stringify([name.replaceAll('`', ''), CLIENT_ID, null, value])
    return `mk1_{${createHash('sha256').update(identity).digest('base64url')}}_${kind}`
  })
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
    p: keysOf('p', ada.homeAccountId),
    g: keysOf('g', evicted[0]?.homeAccountId ?? ''),
    a: keysOf('a', TENANT_ID.toLowerCase()),
    o: keysOf('o', hash),
    l: keysOf('l', sessionKey),
    s: [
      keysOf('s', JSON.stringify([template, ada.sid]))[0],
      keysOf('s', JSON.stringify([template, ada.sub]))[1],
    ],
    j: keysOf('j', JSON.stringify([issuer, jti])),
  }
  for (const keys of Object.values(expected))
    expect([...plaintext.keys()]).toEqual(expect.arrayContaining(keys))
  expect(Object.keys(expected).map((kind) => `_${kind}`)).toEqual(expect.arrayContaining([...KINDS]))
})

test('docs/record-format.md says which records are sealed', () => {
  for (const [key, text] of sealed) {
    const [, , , isSealed] = cells(kindOf(key)?.slice(1) ?? '').find((row) => row.length === 4) ?? []
    expect([key, text.includes('"v1.') ? 'yes' : 'no']).toEqual([key, isSealed])
  }
})

test('docs/record-format.md says what stands in the header of each', () => {
  const meanings = Object.fromEntries(
    ['v', 'k', 'g', 'o', 's', 'x'].map((name) => [name, cells(name).at(-1)?.[0] ?? '']),
  )
  for (const [key, text] of plaintext) {
    const kind = kindOf(key)?.slice(1)
    const { value } = JSON.parse(text) as { value: string }
    const header = JSON.parse(value.slice(0, value.indexOf('\n'))) as object
    const said = Object.entries(meanings).filter(([name, meaning]) => {
      const [, kinds] = /, in ((?:`\w`(?:, | and )?)+)/.exec(meaning) ?? []
      return kinds === undefined || !['g', 'o', 's'].includes(name) || kinds.includes(`\`${kind}\``)
    })
    expect([kind, ...Object.keys(header)]).toEqual([kind, ...said.map(([name]) => name)])
  }
})
