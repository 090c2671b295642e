import Keyv from 'keyv'
import { beforeEach, describe, expect, test } from 'vitest'
import type * as LinksModule from '../../src/accounts/links.ts'
import { keptLinks, type Link, Links, type ProviderSession, readLinks } from '../../src/accounts/links.ts'
import { KeyNames } from '../../src/records/key-names.ts'
import { Records } from '../../src/records/records.ts'
import { Sealing } from '../../src/records/sealing.ts'
import { KeyvStore } from '../../src/store/keyv-store.ts'
import { CLIENT_ID } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'
import { type ObservedStore, observe } from '../support/observed-store.ts'

const HOME = 'https://login.example/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0'
const GUEST = 'https://login.example/7e4a4700-0000-4000-8000-00000000047e/v2.0'
const LATER = Date.now() + 60_000
const NAMES = new KeyNames({ clientId: CLIENT_ID, namespace: undefined, keySecret: undefined })

let store: ObservedStore
let records: Records
let links: Links
beforeEach(() => {
  store = observe(new Keyv())
  records = new Records(
    new KeyvStore(store.keyv, 3_000),
    new Sealing({ encryptionKeys: undefined, allowPlaintext: false }),
  )
  links = new Links(records, NAMES)
})

/** Writes the links of an account's commit. @returns the keys that the account keeps */
async function commit(
  homeAccountId: string,
  sessions: ProviderSession[],
  more: { generation?: string; expiresAt?: number; known?: string[] } = {},
  by = links,
): Promise<string[]> {
  const { generation = 'g', expiresAt = LATER, known = [] } = more
  const own = { homeAccountId, generation, expiresAt }
  const read = await records.read([...by.keysOf(sessions).keys()])
  const renewed = await by.renew(own, sessions, known, read)
  await records.write(renewed.records)
  return renewed.keys
}

async function accountsBy(session: ProviderSession): Promise<string[]> {
  return (await links.find(session, undefined)).links.map(({ homeAccountId }) => homeAccountId)
}

describe('a link leads to an account', () => {
  test('by the session of the ID token or of the response, by the subject, and by the directory user', async () => {
    const directoryUser = { tenantId: 'tenant', objectId: 'object' }
    await commit('alice', [{ issuer: HOME, sid: 'sid', subject: 'sub', directoryUser }])
    await commit('bob', [{ issuer: HOME, sessionState: 'state' }])
    expect(await accountsBy({ issuer: HOME, sid: 'sid' })).toEqual(['alice'])
    expect(await accountsBy({ issuer: HOME, subject: 'sub' })).toEqual(['alice'])
    expect(await accountsBy({ issuer: HOME, sid: 'state' })).toEqual(['bob'])
    expect((await links.findDirectoryUser(directoryUser)).map((link) => link.homeAccountId)).toEqual([
      'alice',
    ])
    expect(await accountsBy({ issuer: HOME, sid: 'sub' })).toEqual([])
    expect(await accountsBy({ issuer: 'https://op.example', sid: 'sid' })).toEqual([])
  })

  test('whichever tenant of Entra ID names it, with the issuers that did', async () => {
    await commit('alice', [
      { issuer: HOME, sid: 'sid' },
      { issuer: GUEST, sid: 'sid' },
    ])
    const found = await links.find({ issuer: 'https://login.example/{tenantid}/v2.0', sid: 'sid' }, undefined)
    expect(found.links.map(({ issuer }) => issuer)).toEqual([HOME, GUEST])
  })

  test('beside other accounts of the same person, in one store call', async () => {
    for (const account of ['alice', 'alice-b2c-edit'])
      await commit(account, [{ issuer: HOME, subject: 'sub' }])
    store.calls()
    expect(await accountsBy({ issuer: HOME, subject: 'sub' })).toEqual(['alice', 'alice-b2c-edit'])
    expect(store.calls()).toEqual(['read'])
  })

  test('of the sign-in of now, and since when', async () => {
    const session = { issuer: HOME, sid: 'sid' }
    await commit('alice', [session])
    const [first] = (await links.find(session, undefined)).links
    await commit('alice', [session])
    const [again] = (await links.find(session, undefined)).links
    expect(again).toMatchObject({ generation: 'g', firstSeen: first?.firstSeen })
    await commit('alice', [session], { generation: 'h' })
    expect((await links.find(session, undefined)).links).toHaveLength(1)
    expect((await links.find(session, undefined)).links[0]?.generation).toBe('h')
  })

  test('until it expires', async () => {
    await commit('alice', [{ issuer: HOME, sid: 'sid' }], { expiresAt: Date.now() - 1 })
    expect(await accountsBy({ issuer: HOME, sid: 'sid' })).toEqual([])
  })
})

test('a logout token that was carried out is known, with its issuer, in the same store call', async () => {
  await links.markCarriedOut({ issuer: HOME, jti: 'jti', expiresAt: new Date(LATER) })
  store.calls()
  const isReplay = async (issuer: string, jti: string) =>
    (await links.find({ issuer, sid: 'sid' }, jti)).isReplay
  expect(await isReplay(HOME, 'jti')).toBe(true)
  expect(store.calls()).toEqual(['read'])
  expect([await isReplay(HOME, 'other'), await isReplay(GUEST, 'jti')]).toEqual([false, false])
})

describe('bounds', () => {
  test('an account keeps its last 32 links, the renewed ones last', async () => {
    const known = Array.from({ length: 32 }, (_, n) => `link ${n}`)
    const kept = keptLinks(known, ['link 5', 'new', 'new'])
    expect(kept).toHaveLength(32)
    expect(kept).not.toContain('link 0')
    expect(kept.slice(-2)).toEqual(['link 5', 'new'])
    const broken = await mutant<typeof LinksModule>('links: bound of an account lifted', 'Links')
    expect(broken.keptLinks(known, ['new'])).toHaveLength(33)
  })

  test('one leads to 64 accounts, the last ones; one that only browsers name to four, the first ones', async () => {
    const accounts = Array.from({ length: 70 }, (_, n) => `account ${n}`)
    for (const account of accounts) {
      await commit(account, [{ issuer: HOME, subject: 'sub' }])
      await commit(account, [{ issuer: HOME, sessionState: 'state' }])
    }
    expect(await accountsBy({ issuer: HOME, subject: 'sub' })).toEqual(accounts.slice(-64))
    expect(await accountsBy({ issuer: HOME, sid: 'state' })).toEqual(accounts.slice(0, 4))
  })

  test('broken on purpose, one leads to more than 64', async () => {
    const module = await mutant<typeof LinksModule>('links: bound of accounts lifted', 'Links')
    const broken = new module.Links(records, NAMES) as unknown as Links
    for (let n = 0; n < 65; n++) await commit(`account ${n}`, [{ issuer: HOME, subject: 'sub' }], {}, broken)
    expect(await accountsBy({ issuer: HOME, subject: 'sub' })).toHaveLength(65)
  })
})

test.each([
  undefined,
  'nonsense',
  '{}',
  '7',
  '[7]',
  '[["alice"]]',
  '[["alice","g","issuer","soon"]]',
  '[[7,"g","issuer",1]]',
])('the body %j leads nowhere', (body) => {
  const stored = body === undefined ? undefined : { key: 'k', generation: undefined, expiresAt: LATER, body }
  expect(readLinks(stored)).toEqual([])
})

test('a record of an earlier release, with less in each row, still leads', () => {
  const body = JSON.stringify([['alice', 'g', HOME, LATER]])
  const link: Partial<Link> = { homeAccountId: 'alice', generation: 'g', issuer: HOME, firstSeen: undefined }
  expect(readLinks({ key: 'k', generation: undefined, expiresAt: LATER, body })).toMatchObject([link])
})
