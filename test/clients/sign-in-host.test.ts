import express from 'express'
import session from 'express-session'
import Keyv from 'keyv'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { EntraStandIn, SCOPES } from '../support/entra.ts'
import { listening, type RunningHost } from '../support/hosts.ts'
import { runSample, sampleUnder } from '../support/run-sample.ts'

const CLIENTS = `import { ConfidentialClients } from 'msal-keyv'
const msal = new ConfidentialClients(configuration, { store })`
const entra = new EntraStandIn({ size: 'small' })
let host: RunningHost
let failures: unknown[]

/** The two routes as docs/sign-in.md has them, in an Express app. */
beforeEach(async () => {
  failures = []
  const app = express()
  app.use(session({ secret: 'not a secret', resave: false, saveUninitialized: false }))
  vi.stubGlobal('app', app)
  vi.stubGlobal('configuration', entra.configuration())
  vi.stubGlobal('store', new Keyv())
  vi.stubGlobal('scopes', SCOPES)
  vi.stubGlobal('redirectUri', 'https://app.example/callback')
  // One module: what the routes import and what they use has to be the same copy of the library.
  await runSample(`${CLIENTS}\n${sampleUnder('docs/sign-in.md', '## The two routes')}`, {}, [])
  app.get('/', (req, res) => {
    res.send(req.session.account?.homeAccountId ?? 'nobody')
  })
  app.use((error: unknown, _req: unknown, res: express.Response, _next: unknown) => {
    failures.push(error)
    res.status(500).end()
  })
  host = await listening(app.listen(0, '127.0.0.1'))
})
afterEach(async () => {
  vi.unstubAllGlobals()
  await host.close()
})

/** A browser of one visitor: it keeps the session's cookie. */
function browser() {
  let cookie = ''
  const get = async (path: string) => {
    const response = await fetch(`${host.url}${path}`, { redirect: 'manual', headers: { cookie } })
    cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? cookie
    return {
      status: response.status,
      location: response.headers.get('location'),
      text: await response.text(),
    }
  }
  /** Begins a sign-in, and returns the path by which the provider sends the browser back. */
  const begin = async (user = entra.user()) => {
    const { location } = await get('/signin')
    return `/callback?${new URLSearchParams(entra.authorize(location ?? '', user))}`
  }
  return { get, begin }
}

test('signs in', async () => {
  const { get, begin } = browser()
  const user = entra.user()
  expect(await get(await begin(user))).toMatchObject({ status: 302, location: '/' })
  expect((await get('/')).text).toBe(user.homeAccountId)
})

test('no visitor’s mistake is a 500', async () => {
  const [alice, mallory] = [browser(), browser()]
  const callback = await alice.begin()
  const paths = ['/callback', '/callback?code=a&state=b', '/callback?state=a&state=b', callback]
  for (const path of paths) expect((await mallory.get(path)).status).toBe(400)

  const theirs = await mallory.begin()
  expect((await alice.get(theirs)).status).toBe(400)
  // The sign-in that was pending is used up; hers has to begin again.
  expect((await alice.get(callback)).status).toBe(400)
  const again = await alice.begin()
  expect((await alice.get(again)).status).toBe(302)
  expect((await alice.get(again)).status).toBe(400)
  expect((await alice.get('/callback?error=access_denied')).status).toBe(400)
  expect((await alice.get('/')).text).not.toBe('nobody')
  expect(failures).toEqual([])
})
