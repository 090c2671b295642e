// docs/security.md, "What a writer of the store can do": each claim is carried out, with encryption keys.
import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import {
  ConfidentialClients,
  generateEncryptionKey,
  type HostSession,
  LogoutHandler,
} from '../../src/index.ts'
import { EntraStandIn, TENANT_ID } from '../support/entra.ts'

const ISSUER = `https://login.microsoftonline.com/${TENANT_ID}/v2.0`

async function host() {
  const entra = new EntraStandIn({ size: 'small' })
  const map = new Map<string, string>()
  const store = new Keyv(map, { useKeyPrefix: false })
  const msal = new ConfidentialClients(entra.configuration(), {
    store,
    encryptionKeys: [generateEncryptionKey()],
  })
  const person = entra.user()
  const signIn = async (sid: string): Promise<HostSession> => {
    return (await entra.enter(msal, { ...person, sid })).session
  }
  const calledBack = (sid: string, ends: 'account' | 'session') =>
    new LogoutHandler(msal, { issuer: ISSUER, ends }).handle({ method: 'GET', url: `/?sid=${sid}` })
  const keyOf = (kind: RegExp) => [...map.keys()].find((key) => kind.test(key)) ?? ''
  /** Sets an unsealed record's random id. */
  const forge = (key: string, id: string) => {
    const value = JSON.stringify({ v: 1, k: key, g: id, x: Date.now() + 1_000_000 })
    map.set(key, JSON.stringify({ value: `${value}\n` }))
  }
  const isSignedIn = (session: HostSession) => msal.plugin.isSignedIn(session)
  return { map, msal, signIn, calledBack, keyOf, forge, isSignedIn }
}

describe('a writer of the store can', () => {
  test('undo an eviction: the generation record deleted, an older record put back', async () => {
    const { map, msal, signIn, keyOf, isSignedIn } = await host()
    const session = await signIn('one')
    const before = map.get(keyOf(/_p$/)) ?? ''
    const partition = keyOf(/_p$/)
    await msal.plugin.evictAccount(session.homeAccountId)
    map.set(partition, before)
    expect(await isSignedIn(session)).toBe(false)
    map.delete(keyOf(/_g$/))
    expect(await isSignedIn(session)).toBe(true)
  })

  test('have the next sign-in join the generation of an old host session', async () => {
    const { msal, signIn, keyOf, forge, isSignedIn } = await host()
    const stolen = await signIn('one')
    await msal.plugin.evictAccount(stolen.homeAccountId)
    forge(keyOf(/_g$/), stolen.generation)
    expect(await isSignedIn(stolen)).toBe(false)
    await signIn('two')
    expect(await isSignedIn(stolen)).toBe(true)
  })

  test('have a session that was ended by itself go on', async () => {
    const { map, signIn, calledBack, keyOf, forge, isSignedIn } = await host()
    await signIn('other')
    const ended = await signIn('one')
    await calledBack('one', 'session')
    const key = keyOf(/_e_/)
    const record = map.get(key) ?? ''
    expect(await isSignedIn(ended)).toBe(false)
    map.delete(key)
    expect(await isSignedIn(ended)).toBe(true)
    map.set(key, record)
    expect(await isSignedIn(ended)).toBe(false)
    forge(key, ended.epoch ?? '')
    expect(await isSignedIn(ended)).toBe(true)
  })

  test('keep a callback from finding an account, which evictAccount ends all the same', async () => {
    const { map, msal, signIn, calledBack, isSignedIn } = await host()
    const session = await signIn('one')
    for (const key of map.keys()) if (/_[sundi]$/.test(key)) map.delete(key)
    expect((await calledBack('one', 'account')).result).toBe('unknown-session')
    expect(await isSignedIn(session)).toBe(true)
    await msal.plugin.evictAccount(session.homeAccountId)
    expect(await isSignedIn(session)).toBe(false)
  })

  test('not make, change or move a sealed record: what it writes there yields nothing', async () => {
    const { map, signIn, calledBack, isSignedIn } = await host()
    const session = await signIn('one')
    const isFound = async () => (await calledBack('one', 'account')).result !== 'unknown-session'
    for (const [kind, counts] of [
      ['_p', () => isSignedIn(session)],
      ['_s', isFound],
    ] as const) {
      const [key = '', value = ''] = [...map].find(([each]) => each.endsWith(kind)) ?? []
      const [, another = ''] = [...map].find(([each]) => each.endsWith('_n')) ?? []
      const plain = JSON.stringify({ value: `{"v":1,"k":"${key}","g":"${session.generation}","x":9e12}\n[]` })
      for (const forged of [plain, another, value.replace(/.{8}"(?=[,}])/, 'AAAAAAAA"')]) {
        expect(forged).not.toBe(value)
        map.set(key, forged)
        expect(await counts()).toBe(false)
      }
      map.set(key, value)
      expect(await counts()).toBe(true)
    }
  })
})
