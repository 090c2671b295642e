import Keyv from 'keyv'
import { beforeEach, describe, expect, test } from 'vitest'
import type * as LinksModule from '../../src/accounts/links.ts'
import {
  joinLinks,
  Links,
  linkRows,
  type NamedLink,
  namedLinks,
  type ProviderSession,
  readLinks,
} from '../../src/accounts/links.ts'
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

/** Writes the links of an account's commit. */
async function commit(
  homeAccountId: string,
  sessions: ProviderSession[],
  { generation = 'g', expiresAt = LATER } = {},
  by = links,
): Promise<void> {
  const named = by.name(sessions, () => 'epoch', Date.now())
  const stored = await records.readRaw(by.keysOf(sessions))
  await records.write(await by.recordsOf(named, { homeAccountId, generation, expiresAt }, stored))
}

async function accountsBy(session: ProviderSession): Promise<string[]> {
  const { bySession, bySubject } = await links.find(session, undefined)
  return [...bySession, ...bySubject].map(({ homeAccountId }) => homeAccountId)
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
    expect(found.bySession.map(({ issuer }) => issuer)).toEqual([HOME, GUEST])
  })

  test('beside other accounts of the same person, in one store call', async () => {
    for (const account of ['alice', 'alice-b2c-edit'])
      await commit(account, [{ issuer: HOME, subject: 'sub' }])
    store.calls()
    expect(await accountsBy({ issuer: HOME, subject: 'sub' })).toEqual(['alice', 'alice-b2c-edit'])
    expect(store.calls()).toEqual(['read'])
  })

  test('of the sign-in that wrote it last', async () => {
    const session = { issuer: HOME, sid: 'sid' }
    await commit('alice', [session])
    await commit('alice', [session], { generation: 'h' })
    const { bySession } = await links.find(session, undefined)
    expect(bySession.map(({ generation }) => generation)).toEqual(['h'])
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

const person = (n: number): NamedLink => ({ key: `person ${n}`, issuer: HOME })
const session = (n: number, epoch = 'epoch', seen = n): NamedLink => ({
  ...{ key: `session ${n}`, issuer: HOME },
  session: { digest: `digest ${n}`, epoch, firstSeen: seen, lastSeen: seen },
})

describe('what an account names', () => {
  test('keeps when a session was seen first, while its epoch is the same', () => {
    expect(joinLinks([session(1)], [session(1, 'epoch', 7)])).toEqual([
      { ...session(1), session: { digest: 'digest 1', epoch: 'epoch', firstSeen: 1, lastSeen: 7 } },
    ])
    expect(joinLinks([session(1)], [session(1, 'another', 7)])).toEqual([session(1, 'another', 7)])
  })

  test('is the last 16 sessions, which never push out who the person is', async () => {
    const many = Array.from({ length: 40 }, (_, n) => session(n))
    const kept = joinLinks([person(0), person(1), ...many], [session(3), person(1)])
    expect(kept).toHaveLength(2 + 16)
    expect(kept.slice(0, 2)).toEqual([person(0), person(1)])
    expect(kept.slice(-2)).toEqual([session(39), session(3)])
    const broken = await mutant<typeof LinksModule>('links: bound of an account lifted', 'Links')
    expect(broken.joinLinks(many, [])).toHaveLength(40)
  })

  test('is what a header has, but for rows that say nothing readable', () => {
    const named = [person(1), session(2)]
    expect(namedLinks(linkRows(named))).toEqual(named)
    expect(namedLinks([undefined, 'nonsense', 7, {}, [], ['key'], [7, HOME], ['', HOME]])).toEqual([])
    expect(namedLinks([['key', HOME, 'digest', 'epoch', 'yesterday', 1]])).toEqual([
      { key: 'key', issuer: HOME },
    ])
  })
})

describe('bounds', () => {
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
