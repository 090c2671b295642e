import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import type { Keyv } from 'keyv'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type RunningApp, startApp } from '../../examples/demo/app.ts'
import { type RunningProvider, startProvider } from '../../examples/demo/provider.ts'
import { type RecordView, readRecords } from '../../examples/demo/records.ts'
import { openStore } from '../../examples/demo/store.ts'
import { HttpBrowser, type ShownPage } from '../support/http-browser.ts'
import { startDemo } from './started-demo.ts'

let directory: string
let store: Keyv
let provider: RunningProvider
let app: RunningApp

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'msal-keyv-e2e-'))
  store = openStore(join(directory, 'tokens.sqlite'))
  provider = await startProvider()
  app = await startApp({ store, provider })
})

afterEach(async () => {
  await Promise.all([app.close(), provider.close()])
  await store.disconnect()
  await rm(directory, { recursive: true })
})

test('two users sign in, get tokens silently and refreshed, and one is evicted for good', async () => {
  const alice = new HttpBrowser()
  const bob = new HttpBrowser()
  expect((await alice.get(app.url)).text).toContain('Nobody is signed in')

  expect((await signIn(alice, 'alice')).outcome).toContain('Signed in')
  expect((await signIn(bob, 'bob')).outcome).toContain('Signed in')
  expect(await usernames()).toEqual([['alice'], ['bob']])

  const silent = await alice.post(`${app.url}/token`)
  expect(silent.outcome).toContain('A token from the cache')
  expect((await alice.post(`${app.url}/token`)).fingerprint).toBe(silent.fingerprint)
  const refreshed = await alice.post(`${app.url}/refresh`)
  expect(refreshed.outcome).toContain('A new token from the provider')
  expect(refreshed.fingerprint).not.toBe(silent.fingerprint)
  expect((await alice.post(`${app.url}/token`)).fingerprint).toBe(refreshed.fingerprint)

  const bobsToken = (await bob.post(`${app.url}/token`)).fingerprint
  expect(bobsToken).not.toBe(refreshed.fingerprint)
  const bobsRecord = await recordOf('bob')

  expect((await alice.post(`${app.url}/evict`)).outcome).toContain('The tokens are gone')
  expect(await recordOf('alice')).toBeUndefined()
  const again = await alice.post(`${app.url}/token`)
  expect(again.outcome).toContain('MSAL says: sign in again')
  expect(again.outcome).toContain('no_tokens_found')
  expect((await alice.post(`${app.url}/refresh`)).outcome).toContain('MSAL says: sign in again')
  expect(again.text).toContain('evicted')

  expect(await recordOf('bob')).toEqual(bobsRecord)
  expect((await bob.post(`${app.url}/token`)).fingerprint).toBe(bobsToken)
  expect((await bob.post(`${app.url}/refresh`)).outcome).toContain('A new token from the provider')
  expect((await readRecords(store)).map(({ kind }) => kind)).not.toContain('other')
})

test('the partition is shown without any token', async () => {
  const alice = new HttpBrowser()
  await signIn(alice, 'alice')
  const { text } = await alice.post(`${app.url}/token`)

  const record = await recordOf('alice')
  if (!record?.partition) throw new Error('alice has no partition')
  expect(record.partition.refreshTokens).toBe(1)
  expect(record.partition.accessTokens).toHaveLength(1)
  expect(record.partition.accessTokens[0]?.scopes.split(' ')).toContain('notes.read')
  for (const shown of [record.key, ...record.generations, record.expiresAt.toISOString()]) {
    expect(text).toContain(shown)
  }

  const [stored] = await store.getMany<string>([record.key])
  const tokens = [...(stored ?? '').matchAll(/"secret":"([^"]+)"/g)].map(([, token]) => token ?? '')
  expect(tokens).toHaveLength(3)
  for (const token of tokens) {
    for (const part of token.split('.')) expect(text).not.toContain(part)
  }
  const idToken = tokens.find((token) => token.split('.').length === 3) ?? ''
  expect(decodeJwt(idToken)).toMatchObject({ iss: provider.issuer, sub: 'alice', sid: expect.any(String) })
})

test('a new sign-in works at once after an eviction, and the session before it stays evicted', async () => {
  const phone = new HttpBrowser()
  const laptop = new HttpBrowser()
  await signIn(phone, 'alice')
  await signIn(laptop, 'alice')
  expect((await laptop.post(`${app.url}/token`)).outcome).toContain('A token from the cache')

  await phone.post(`${app.url}/evict`)
  expect((await signIn(phone, 'alice')).outcome).toContain('Signed in')
  expect((await phone.post(`${app.url}/token`)).outcome).toContain('A token from the cache')
  expect((await laptop.post(`${app.url}/token`)).outcome).toContain('MSAL says: sign in again')
})

test('a callback that answers no sign-in of this browser signs nobody in', async () => {
  const alice = new HttpBrowser()
  await alice.get(`${app.url}/callback?code=stolen&state=guessed`)
  await alice.get(`${app.url}/signin`)
  const { outcome, text } = await alice.get(`${app.url}/callback?code=stolen&state=guessed`)
  expect(outcome).toContain('state_mismatch')
  expect(text).toContain('Nobody is signed in')
  expect(await readRecords(store)).toEqual([])
})

test('one command starts it, and Ctrl+C ends it', async () => {
  const demo = await startDemo()
  expect(demo.complaints()).toBe('')
  expect((await new HttpBrowser().get(demo.url)).text).toContain('Nobody is signed in')
  expect(await demo.end()).toEqual([0, null])
  expect(demo.complaints()).toBe('')
})

async function signIn(browser: HttpBrowser, name: string): Promise<ShownPage> {
  const login = await browser.get(`${app.url}/signin`)
  expect(login.text).toContain('User name')
  return browser.post(login.url, { name })
}

async function recordOf(username: string): Promise<RecordView | undefined> {
  return (await readRecords(store)).find(({ partition }) => partition?.usernames.includes(username))
}

async function usernames(): Promise<(readonly string[] | undefined)[]> {
  const partitions = (await readRecords(store)).filter(({ kind }) => kind === 'partition')
  return partitions.map(({ partition }) => partition?.usernames).sort()
}
