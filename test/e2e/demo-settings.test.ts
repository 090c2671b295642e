/** The demo on another store, and with another provider. */
import { createClient } from '@keyv/redis'
import { describe, expect, onTestFinished, test } from 'vitest'
import { readSettings } from '../../examples/demo/settings.ts'
import { freePort } from '../support/free-port.ts'
import { HttpBrowser } from '../support/http-browser.ts'
import { missingProgram } from '../support/programs.ts'
import { RedisServer } from '../support/redis-server.ts'
import { type StartedDemo, startDemo } from './started-demo.ts'

describe.skipIf(missingProgram('redis-server'))('REDIS_URL', () => {
  test('keeps everything in Redis, under names of its own, and expiring', async () => {
    const redis = await RedisServer.start()
    onTestFinished(() => redis.stop())
    const { url } = await startWith({ REDIS_URL: redis.url })
    const alice = new HttpBrowser()
    const { text } = await alice.get(url)
    expect(text).toContain('the store is Redis')
    const login = await alice.get(`${url}/signin`)
    const signedIn = await alice.post(login.url, { name: 'alice' })
    expect(signedIn.outcome).toContain('Signed in')
    expect(signedIn.text).toContain('<strong>alice</strong>')
    const played = await alice.post(`${url}/story/twenty`)
    expect(played.text).toContain('DistributedCachePlugin: wrong. msal-keyv: right.')

    const client = await createClient({ url: redis.url }).connect()
    onTestFinished(() => client.close())
    const keys = await client.keys('*')
    const ours = keys.filter((key) => key.endsWith('_p'))
    expect(ours).toHaveLength(21)
    for (const key of keys) expect(key).toMatch(/^msal-keyv-demo-(tokens|other_app|story_stock|story_keyv)::/)
    for (const key of ours) expect(await client.ttl(key)).toBeGreaterThan(0)
  })
})

describe('an Entra ID tenant', () => {
  const tenant = {
    ENTRA_CLIENT_ID: '11111111-1111-1111-1111-111111111111',
    ENTRA_TENANT_ID: '22222222-2222-2222-2222-222222222222',
    ENTRA_CLIENT_SECRET: 'not a secret',
  }

  test('signs in there, and says why there is no comparison', async () => {
    const port = `${await freePort()}`
    const { url } = await startWith({ ...tenant, PORT: port })
    expect(url).toBe(`http://localhost:${port}`)
    const { text } = await new HttpBrowser().get(url)
    expect(text).toContain('Nobody is signed in')
    expect(text).toContain('the provider is Entra ID')
    expect(text).not.toContain(tenant.ENTRA_CLIENT_SECRET)
    expect(text.match(/ disabled aria-describedby="story-unavailable"/g)).toHaveLength(3)
    expect(text).toContain('Start the demo without the ENTRA_ variables')

    const { status, headers } = await fetch(`${url}/signin`, { redirect: 'manual' })
    expect(status).toBe(303)
    const login = new URL(headers.get('location') ?? '')
    expect(`${login.origin}${login.pathname}`).toBe(
      `https://login.microsoftonline.com/${tenant.ENTRA_TENANT_ID}/oauth2/v2.0/authorize`,
    )
    expect(Object.fromEntries(login.searchParams)).toMatchObject({
      client_id: tenant.ENTRA_CLIENT_ID,
      redirect_uri: `${url}/callback`,
      response_type: 'code',
      scope: 'User.Read openid profile offline_access',
      code_challenge_method: 'S256',
    })
    const unplayed = await fetch(`${url}/story/twenty`, { method: 'POST' })
    expect(unplayed.status).toBe(404)
  })

  test('of which a part is missing is an error that names it', async () => {
    const { ENTRA_TENANT_ID: _, ...incomplete } = tenant
    const demo = await startWith(incomplete)
    expect(demo.complaints()).toBe('ENTRA_TENANT_ID must be set too, for an Entra ID tenant\n')
    expect(await demo.end()).toEqual([1, null])
  })
})

test('a port that is none is an error that says so', () => {
  for (const PORT of ['eighty', '-1', '65536', '80.5']) {
    expect(() => readSettings({ PORT })).toThrow('PORT must be the number of a port')
  }
  expect(readSettings({ PORT: '8080', DEMO_DB: 'demo.sqlite' })).toEqual({
    port: 8080,
    store: { kind: 'sqlite', file: 'demo.sqlite' },
    entra: undefined,
  })
})

function startWith(env: Record<string, string>): Promise<StartedDemo> {
  return startDemo({ env: { PATH: process.env.PATH, ...env } })
}
