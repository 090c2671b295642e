import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, onTestFailed, test } from 'vitest'
import { generateEncryptionKey } from '../../src/index.ts'
import { freePort } from '../support/free-port.ts'
import { HttpBrowser, type ShownPage } from '../support/http-browser.ts'
import { missingProgram } from '../support/programs.ts'
import { RedisServer } from '../support/redis-server.ts'
import { type RunningApp, runScript, startApp } from './running-app.ts'
import { SecureProvider } from './secure-provider.ts'

/** Each signs users in, calls an API, and signs them out; those with a build step are built first. */
const webApps = [
  { name: 'express' },
  { name: 'fastify' },
  { name: 'hono' },
  { name: 'koa' },
  { name: 'nestjs', built: true },
  { name: 'next', built: true },
]

const examples = inject('examples')

describe.skipIf(missingProgram('redis-server', 'openssl'))('the example', () => {
  let redis: RedisServer
  let provider: SecureProvider

  beforeAll(async () => {
    redis = await RedisServer.start({ appendOnly: true })
    provider = await SecureProvider.start()
  })
  afterAll(async () => {
    await provider?.close()
    await redis?.stop()
  })

  async function start(name: string, env: Record<string, string>): Promise<RunningApp> {
    const port = await freePort()
    const url = `http://localhost:${port}`
    const clientSecret = await provider.register({
      clientId: name,
      redirectUri: `${url}/callback`,
      postLogoutRedirectUri: `${url}/`,
      logoutUri: `${url}/logout-callback`,
    })
    return startApp(join(examples, name), port, {
      CLIENT_ID: name,
      CLIENT_SECRET: clientSecret,
      ...provider.environment,
      SESSION_SECRET: 'a secret of the tests, of 32 characters and more',
      ...env,
    })
  }

  async function signInTo(app: RunningApp, browser: HttpBrowser, user: string): Promise<void> {
    const login = await browser.get(`${app.url}/signin`)
    expect(login.url).toContain(`${provider.issuer}/interaction/`)
    const home = await browser.post(login.url, { name: user })
    expect(home).toMatchObject({ url: `${app.url}/`, text: expect.stringContaining('signed in') })
  }

  describe.each(webApps)('$name', ({ name, built }) => {
    let app: RunningApp
    let browser: HttpBrowser
    let user: string
    let users = 0

    beforeAll(async () => {
      if (built) await runScript(join(examples, name), 'build')
      app = await start(name, {
        REDIS_URL: redis.url,
        TOKEN_CACHE_KEYS: JSON.stringify([generateEncryptionKey()]),
      })
    })
    afterAll(() => app?.stop())

    beforeEach(async () => {
      onTestFailed(() => console.error(app.output()))
      await redis.command('FLUSHALL')
      browser = new HttpBrowser()
      user = `user-${++users}-of-${name}`
    })

    test('type-checks', () => runScript(join(examples, name), 'types'))

    test('signs a user in, and calls the API with a token that the cache keeps', async () => {
      expect(await open('/')).toMatchObject({ status: 200, text: expect.stringContaining('signed out') })
      const before = provider.answers.length
      await signIn()
      const called = provider.apiTokens.length
      for (const _ of ['first', 'second']) {
        const { status, text } = await open('/me')
        expect(status).toBe(200)
        expect(JSON.parse(text)).toMatchObject({ sub: user })
      }
      expect(provider.answers.length - before).toBe(1)
      const { access_token } = lastAnswer()
      expect(provider.apiTokens.slice(called)).toEqual([access_token, access_token])
    })

    test('stores nothing in clear, and prints no token and no error', async () => {
      await signIn()
      expect(app.output()).not.toContain('Error')
      const keys = (await redis.command('KEYS', '*')) as string[]
      const stored = (await redis.command('MGET', ...keys)) as string[]
      const { access_token, refresh_token, id_token } = lastAnswer()
      for (const secret of [user, access_token, refresh_token, id_token]) {
        expect(stored.join('\n')).not.toContain(secret)
        expect(app.output()).not.toContain(secret)
      }
    })

    test('gives the session a new id at sign-in', async () => {
      const login = await open('/signin')
      const planted = browser.copy()
      await browser.post(login.url, { name: user })
      expect((await open('/')).text).toContain('signed in')
      expect((await planted.get(`${app.url}/`)).text).toContain('signed out')
    })

    test('refuses a session that the provider ended on the back channel, and a new sign-in works', async () => {
      await signIn()
      expect(await partitions()).toBe(1)
      const question = await browser.get(`${provider.issuer}/session/end`)
      await browser.submit(question, { logout: 'yes' })
      await expectSignedOut()

      await signIn()
      expect((await open('/me')).status).toBe(200)
    })

    test('refuses a session that the provider ended on the front channel', async () => {
      await signIn()
      const [, claims = ''] = lastAnswer().id_token.split('.')
      const { sid } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { sid: string }
      const callback = new URLSearchParams({ iss: provider.issuer, sid })
      const answer = await fetch(`${app.url}/logout-callback?${callback}`)
      expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store'])
      await expectSignedOut()
    })

    test('does nothing for a callback that the provider did not send', async () => {
      await signIn()
      const body = new URLSearchParams({ logout_token: 'forged' })
      const answer = await fetch(`${app.url}/logout-callback`, { method: 'POST', body })
      expect(answer.status).toBe(400)
      expect(await answer.json()).toMatchObject({ error: 'invalid_request' })
      expect((await open('/me')).status).toBe(200)
    })

    test('signs the user out here and at the provider', async () => {
      await signIn()
      const stolen = browser.copy()
      const question = await browser.post(`${app.url}/signout`)
      expect(question.url).toContain(`${provider.issuer}/session/end?`)
      expect(await partitions()).toBe(0)
      const back = await browser.submit(question, { logout: 'yes' })
      expect(back).toMatchObject({ url: `${app.url}/`, text: expect.stringContaining('signed out') })
      expect((await stolen.get(`${app.url}/`)).text).toContain('signed out')
      await expectSignedOut()
    })

    test('offers to sign in to a visitor who comes back with nothing that signs in', async () => {
      for (const path of ['/callback', '/callback?code=a&state=b']) {
        expect(await open(path)).toMatchObject({ status: 400, text: expect.stringContaining('/signin') })
      }
    })

    test('answers 503 while the store is down, and goes on afterwards', async () => {
      await signIn()
      await redis.kill()
      try {
        const down = { status: 503, url: expect.stringContaining(app.url) }
        expect(await open('/me')).toMatchObject(down)
        expect((await open('/')).text).not.toContain('signed out')
        expect(await browser.post(`${app.url}/signout`)).toMatchObject(down)
      } finally {
        await redis.restart()
      }
      while ((await open('/me')).status === 503) await new Promise((resolve) => setTimeout(resolve, 50))
      expect(await open('/me')).toMatchObject({ status: 200, text: expect.stringContaining(user) })
    })

    test('does not start without its store', async () => {
      const nobody = { REDIS_URL: `redis://127.0.0.1:${await freePort()}` }
      const keys = { TOKEN_CACHE_KEYS: JSON.stringify([generateEncryptionKey()]) }
      await expect(start(name, { ...nobody, ...keys })).rejects.toThrow('the app ended')
    })

    const open = (path: string): Promise<ShownPage> => browser.get(`${app.url}${path}`)

    const signIn = (): Promise<void> => signInTo(app, browser, user)

    /** At the next request the browser is at the provider's sign-in, and no refresh token is left. */
    async function expectSignedOut(): Promise<void> {
      expect(await partitions()).toBe(0)
      expect((await open('/')).text).toContain('signed out')
      expect((await open('/me')).url).toContain(`${provider.issuer}/interaction/`)
    }

    /** How many accounts have tokens in the store. */
    async function partitions(): Promise<number> {
      return ((await redis.command('KEYS', '*_p')) as string[]).length
    }

    function lastAnswer() {
      const answer = provider.answers.at(-1)
      if (answer === undefined) throw new Error('nobody has signed in')
      return answer
    }
  })

  describe('store.ts', () => {
    test('keeps tokens in memory without REDIS_URL', async () => {
      const app = await start('express', {})
      const browser = new HttpBrowser()
      try {
        await signInTo(app, browser, 'memory')
        const shown = await browser.get(`${app.url}/me`)
        expect(shown).toMatchObject({ status: 200, text: expect.stringContaining('memory') })
      } finally {
        await app.stop()
      }
    })

    test('stores nothing in Redis without keys', async () => {
      await expect(start('express', { REDIS_URL: redis.url })).rejects.toThrow('TOKEN_CACHE_KEYS must be set')
    })
  })
})
