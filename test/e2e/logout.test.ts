import { EventEmitter, once } from 'node:events'
import { join } from 'node:path'
import KeyvRedis from '@keyv/redis'
import { Keyv } from 'keyv'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type RunningApp, startApp } from '../../examples/demo/app.ts'
import { type RunningProvider, startProvider } from '../../examples/demo/provider.ts'
import { type RecordView, readRecords } from '../../examples/demo/records.ts'
import { openStore } from '../../examples/demo/store.ts'
import type { LogoutOutcome } from '../../src/index.ts'
import { HttpBrowser, type ShownPage } from '../support/http-browser.ts'
import { makeFolder, missingProgram, removeFolder } from '../support/programs.ts'
import { RedisServer } from '../support/redis-server.ts'

interface OpenedStore {
  readonly keyv: Keyv
  close(): Promise<void>
}

async function openSqlite(): Promise<OpenedStore> {
  const folder = await makeFolder()
  const keyv = openStore(join(folder, 'tokens.sqlite'))
  return {
    keyv,
    close: async () => {
      await keyv.disconnect()
      await removeFolder(folder)
    },
  }
}

async function openRedis(): Promise<OpenedStore> {
  const server = await RedisServer.start()
  const store = new KeyvRedis(server.url, { throwOnErrors: true })
  const keyv = new Keyv({ store, namespace: '', useKeyPrefix: false })
  return {
    keyv,
    close: async () => {
      await keyv.disconnect()
      await server.stop()
    },
  }
}

const stores = [
  { name: 'SQLite', open: openSqlite, missing: false },
  { name: 'Redis', open: openRedis, missing: missingProgram('redis-server') },
]

for (const { name, open, missing } of stores) {
  describe.skipIf(missing)(`the provider's back-channel logout, on ${name}`, () => {
    let store: OpenedStore
    let provider: RunningProvider
    /** Two apps of one provider, in one store. */
    let notes: RunningApp
    let mail: RunningApp
    let callbacks: EventEmitter<Record<'notes' | 'mail', [LogoutOutcome]>>

    beforeEach(async () => {
      store = await open()
      provider = await startProvider()
      callbacks = new EventEmitter()
      notes = await start('notes')
      mail = await start('mail')
    })

    afterEach(async () => {
      await Promise.all([notes?.close(), mail?.close(), provider?.close()])
      await store?.close()
    })

    function start(clientId: 'notes' | 'mail'): Promise<RunningApp> {
      const onLogout = (outcome: LogoutOutcome) => callbacks.emit(clientId, outcome)
      return startApp({ store: store.keyv, provider, clientId, onLogout })
    }

    test('of a sign-out in another app evicts the account here, and nobody else', async () => {
      const carol = new HttpBrowser()
      const dave = new HttpBrowser()
      await signIn(carol, notes, 'carol')
      await signIn(carol, mail, 'carol')
      await signIn(dave, notes, 'dave')
      expect(await partitionsOf('carol')).toHaveLength(2)
      const davesRecords = await partitionsOf('dave')
      const davesToken = (await dave.post(`${notes.url}/token`)).fingerprint
      expect((await carol.post(`${notes.url}/token`)).outcome).toContain('A token from the cache')

      const arrived = once(callbacks, 'notes')
      const back = await signOut(carol, mail)
      const [outcome] = (await arrived) as [LogoutOutcome]

      expect(outcome).toMatchObject({
        status: 200,
        headers: { 'cache-control': 'no-store' },
        result: 'evicted',
      })
      expect(outcome.body).toBeUndefined()
      expect(outcome.callback).toMatchObject({
        kind: 'back-channel',
        issuer: provider.issuer,
        subject: 'carol',
        sid: expect.any(String),
      })
      const { sid } = outcome.callback as { sid?: string }
      expect(outcome.evicted).toEqual([{ homeAccountId: 'carol', sid }])
      expect(await partitionsOf('carol')).toEqual([])
      expect(back.url).toBe(`${mail.url}/`)
      expect(back.outcome).toContain('Signed out')

      for (const action of ['token', 'refresh']) {
        const failed = await carol.post(`${notes.url}/${action}`)
        expect(failed.outcome).toContain('MSAL says: sign in again')
        expect(failed.outcome).toContain('no_tokens_found')
      }
      expect((await carol.get(notes.url)).text).toContain('<span class="bad">evicted</span>')

      expect(await partitionsOf('dave')).toEqual(davesRecords)
      expect((await dave.post(`${notes.url}/token`)).fingerprint).toBe(davesToken)
      expect((await dave.post(`${notes.url}/refresh`)).outcome).toContain('A new token from the provider')
    })

    test('of a sign-out that began here finds nothing left to do', async () => {
      const carol = new HttpBrowser()
      const dave = new HttpBrowser()
      await signIn(carol, notes, 'carol')
      await signIn(dave, notes, 'dave')

      const arrived = once(callbacks, 'notes')
      const question = await carol.post(`${notes.url}/signout`)
      expect(question.url).toContain(`${provider.origin}/session/end?`)
      expect(await partitionsOf('carol')).toEqual([])
      const back = await carol.submit(question, { logout: 'yes' })
      const [outcome] = (await arrived) as [LogoutOutcome]

      expect(outcome).toMatchObject({ status: 200, result: 'stale-session', evicted: [] })
      expect(back.url).toBe(`${notes.url}/`)
      expect(back.outcome).toContain('Signed out')
      expect(back.text).toContain('Nobody is signed in')
      expect((await dave.post(`${notes.url}/refresh`)).outcome).toContain('A new token from the provider')
      // The provider's session is over too: it no longer knows the name.
      expect((await carol.get(`${notes.url}/signin`)).text).not.toContain('value="carol"')
    })

    test('leaves the next sign-in alone when an old session is named', async () => {
      const phone = new HttpBrowser()
      const laptop = new HttpBrowser()
      await signIn(phone, notes, 'carol')
      await signIn(phone, mail, 'carol')
      await phone.post(`${notes.url}/evict`)
      await signIn(laptop, notes, 'carol')

      const arrived = once(callbacks, 'notes')
      await signOut(phone, mail)
      const [outcome] = (await arrived) as [LogoutOutcome]

      expect(outcome).toMatchObject({ status: 200, result: 'stale-session', evicted: [] })
      expect((await laptop.post(`${notes.url}/refresh`)).outcome).toContain('A new token from the provider')
    })

    test('comes back to a browser that did not ask for it, and nothing happens', async () => {
      const carol = new HttpBrowser()
      await signIn(carol, notes, 'carol')
      for (const query of ['', '?state=', '?state=guessed', '?state=a&state=b']) {
        const page = await carol.get(`${notes.url}/signed-out${query}`)
        expect(page.url).toBe(`${notes.url}/`)
        expect(page.text).toContain('<span class="good">signed in</span>')
      }
      const forged = await fetch(`${notes.url}/logout-callback`, {
        method: 'POST',
        body: new URLSearchParams({ logout_token: 'forged' }),
      })
      expect(forged.status).toBe(400)
      expect(await forged.json()).toMatchObject({ error: 'invalid_request' })
      expect(await partitionsOf('carol')).toHaveLength(1)
    })

    async function signIn(browser: HttpBrowser, app: RunningApp, name: string): Promise<void> {
      const login = await browser.get(`${app.url}/signin`)
      expect((await browser.post(login.url, { name })).outcome).toContain('Signed in')
    }

    /** RP-initiated: the app sends the browser to the provider, whose question is answered with yes. */
    async function signOut(browser: HttpBrowser, app: RunningApp): Promise<ShownPage> {
      const question = await browser.post(`${app.url}/signout`)
      return browser.submit(question, { logout: 'yes' })
    }

    async function partitionsOf(username: string): Promise<RecordView[]> {
      const records = await readRecords(store.keyv)
      return records.filter(({ partition }) => partition?.usernames.includes(username))
    }
  })
}
