import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { LogoutOutcome } from '../../src/index.ts'
import { findBrowser, launchBrowser } from '../support/browser.ts'
import { EntraStandIn, SCOPES, TENANT_ID, type User } from '../support/entra.ts'
import { callbackUrl, logoutUrl, makeHostParts } from '../support/host-parts.ts'
import { listening, type RunningHost } from '../support/hosts.ts'
import { missingBrowser } from '../support/missing-browser.ts'
import { startSessionHost } from '../support/session-host.ts'
import { isStored } from '../support/stored.ts'

interface Callback {
  readonly outcome: LogoutOutcome
  readonly headers: IncomingHttpHeaders
}

describe.skipIf(missingBrowser())('a front-channel logout in a browser', () => {
  const entra = new EntraStandIn({ size: 'small' })
  const parts = makeHostParts(entra)
  const { msal } = parts
  const callbacks = new EventEmitter<{ logout: [Callback] }>()
  let browser: Browser
  /** On 127.0.0.1. */
  let app: RunningHost
  /** The provider's page: the same server under two names, of which `localhost` is another site than the app's. */
  let provider: { crossSite: string; sameSite: string; close(): Promise<void> }

  beforeAll(async () => {
    browser = await launchBrowser(findBrowser() ?? '')
    app = await startSessionHost({
      ...parts,
      onLogout: (outcome, headers) => callbacks.emit('logout', { outcome, headers }),
    })
    provider = await startProviderPage()
  })

  afterAll(async () => {
    await browser?.close()
    await Promise.all([app?.close(), provider?.close()])
  })

  test.each<[string, (user: User) => Record<string, string>]>([
    ['sid alone, as Entra ID sends it', ({ sid }) => ({ sid: sid ?? '' })],
    ['sid and iss', ({ sid }) => ({ sid: sid ?? '', iss: entra.issuerFor(TENANT_ID) })],
  ])('arrives from a hidden cross-site frame without cookies, and evicts: %s', async (_, parameters) => {
    const [alice, bob] = [entra.user(), entra.user()]
    const page = await signIn(alice)
    const bobsPage = await signIn(bob)
    const [cookie] = await page.context().cookies()
    expect(cookie).toMatchObject({ name: 'connect.sid', sameSite: 'Lax' })

    // What the browser withholds from another site, it sends from the same one.
    const control = await signOutAt(page, provider.sameSite, { sid: 'nobody' })
    expect(control.headers.cookie).toContain('connect.sid=')
    expect(control.outcome.result).toBe('unknown-session')
    expect(await open(page)).toEqual({ status: 200, text: alice.homeAccountId })

    const { headers, outcome } = await signOutAt(page, provider.crossSite, parameters(alice))
    expect(headers.cookie).toBeUndefined()
    expect(headers).toMatchObject({ 'sec-fetch-dest': 'iframe', 'sec-fetch-site': 'cross-site' })
    expect(outcome).toMatchObject({
      status: 200,
      headers: { 'cache-control': 'no-store' },
      result: 'evicted',
      evicted: [{ homeAccountId: alice.homeAccountId, sid: alice.sid }],
    })
    expect(await isStored(msal.plugin, alice.homeAccountId)).toBe(false)
    await expect(
      msal.acquireTokenSilent({ homeAccountId: alice.homeAccountId }, { scopes: SCOPES }),
    ).rejects.toMatchObject({
      name: 'InteractionRequiredAuthError',
      errorCode: 'no_tokens_found',
    })

    // The browser still has its cookie, but the session behind it has ended.
    expect(await page.context().cookies(app.url)).toMatchObject([{ value: cookie?.value }])
    expect(await open(page)).toEqual({ status: 401, text: 'signed out' })
    expect(await open(bobsPage)).toEqual({ status: 200, text: bob.homeAccountId })
  })

  /** In a browser of the user's own, as far as cookies go. */
  async function signIn(user: User): Promise<Page> {
    const context = await browser.newContext()
    onTestFinished(() => context.close())
    const page = await context.newPage()
    await page.goto(callbackUrl(app, entra.code(user)))
    expect(await open(page)).toEqual({ status: 200, text: user.homeAccountId })
    return page
  }

  async function open(page: Page): Promise<{ status: number | undefined; text: string | undefined }> {
    const response = await page.goto(app.url)
    return { status: response?.status(), text: await response?.text() }
  }

  /** Opens the provider's page, and returns what the frame in it brought to the app. */
  async function signOutAt(page: Page, url: string, parameters: Record<string, string>): Promise<Callback> {
    const arrived = once(callbacks, 'logout') as Promise<[Callback]>
    await page.goto(`${url}/?${new URLSearchParams({ frame: logoutUrl(app, parameters) })}`)
    const [callback] = await arrived
    return callback
  }
})

async function startProviderPage(): Promise<{
  crossSite: string
  sameSite: string
  close(): Promise<void>
}> {
  const server = createServer((request, response) => {
    const frame = new URL(request.url ?? '/', 'http://localhost').searchParams.get('frame') ?? ''
    const address = frame.replaceAll('&', '&amp;').replaceAll('"', '&quot;')
    response.setHeader('content-type', 'text/html; charset=utf-8')
    response.end(`<!doctype html><title>Signed out</title><iframe hidden src="${address}"></iframe>`)
  })
  const { url, close } = await listening(server.listen(0, '127.0.0.1'))
  return { sameSite: url, crossSite: url.replace('127.0.0.1', 'localhost'), close }
}
