import { readFileSync, writeFileSync } from 'node:fs'
import { version } from '@azure/msal-node'
import { beforeAll, describe, expect, test } from 'vitest'
import { AUTHORITIES, EXPECTED, type Flow, runFlows, runMsalAlone } from './authorities/table.ts'
import { type SigningKey, signingKey } from './logout/provider.ts'

const PAGE = new URL('../docs/compatibility.md', import.meta.url)

let key: SigningKey
beforeAll(async () => {
  key = await signingKey('key-1')
})

describe(`every flow at any authority costs what it costs at a tenant id, with MSAL Node ${version}`, () => {
  test.each(AUTHORITIES)('$name', async (row) => {
    expect(await runFlows(row, key)).toEqual(EXPECTED)
  })
})

const COLUMNS: readonly Flow[] = [
  'sign-in',
  'three hits',
  'refresh',
  'on behalf of, repeated',
  'long-running, three hits',
  'app token, repeated',
  'sign-out',
]

// What MSAL alone does differs between the majors: the page has the newest.
test.runIf(version.startsWith('7.'))('the table of docs/compatibility.md is what is counted', async () => {
  const rows = await Promise.all(
    AUTHORITIES.map(async (row) => {
      const counted = await runFlows(row, key)
      const { byId, described } = await runMsalAlone(row)
      return [row.name, ...COLUMNS.map((flow) => counted[flow]), byId, described]
    }),
  )
  const head = ['authority', ...COLUMNS, 'MSAL alone: three hits, by id', 'by `AccountInfo`']
  const table = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
  const page = readFileSync(PAGE, 'utf8')
  const [, before = '', stands = '', after = ''] =
    /^([\s\S]*<!-- authorities:begin[^\n]*\n)([\s\S]*)(<!-- authorities:end[\s\S]*)$/.exec(page) ?? []
  if (process.env.UPDATE_DOCS) writeFileSync(PAGE, `${before}\n${table}\n\n${after}`)
  else expect(stands.trim()).toBe(table)
})
