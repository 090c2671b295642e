import type { Keyv } from 'keyv'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningApp, startApp } from '../../examples/demo/app.ts'
import { type RunningProvider, startProvider } from '../../examples/demo/provider.ts'
import { openStore } from '../../examples/demo/store.ts'
import { findBrowser, launchBrowser } from '../support/browser.ts'
import { missingBrowser } from '../support/missing-browser.ts'

describe.skipIf(missingBrowser())('the demo page in a browser', () => {
  let store: Keyv
  let provider: RunningProvider
  let app: RunningApp
  let browser: Browser

  beforeAll(async () => {
    store = openStore(':memory:')
    provider = await startProvider()
    app = await startApp({ store, provider })
    browser = await launchBrowser(findBrowser() ?? '')
  })

  afterAll(async () => {
    await browser?.close()
    await Promise.all([app?.close(), provider?.close()])
    await store?.disconnect()
  })

  test('sign in, silent token, refresh, evict, gone', async () => {
    const { page, problems } = await open()
    await signIn(page, 'alice')
    expect(await read(page, '#user')).toContain('signed in')
    expect(await read(page, '#outcome')).toContain('Signed in')
    expect(await read(page, '#store')).toContain('alice')

    expect(await press(page, 'Get a token silently')).toContain('A token from the cache')
    expect(await press(page, 'Refresh')).toContain('A new token from the provider')
    expect(await press(page, 'Evict this account')).toContain('The tokens are gone')
    expect(await read(page, '#user')).toContain('evicted')
    expect(await read(page, '#store')).not.toContain('alice')
    expect(await press(page, 'Get a token silently')).toContain('MSAL says: sign in again')
    expect(problems).toEqual([])
  })

  test('sign out here and at the provider', async () => {
    const { page, problems } = await open()
    await signIn(page, 'erin')
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('heading', { name: 'Sign out' }).waitFor()
    expect(await page.locator('main').textContent()).toContain('erin')
    await page.getByRole('button', { name: 'Sign out everywhere' }).click()
    await page.waitForURL(`${app.url}/`)
    expect(await read(page, '#outcome')).toContain('Signed out')
    expect(await read(page, '#user')).toContain('Nobody is signed in')
    expect(await read(page, '#store')).not.toContain('erin')
    expect(problems).toEqual([])
  })

  test('signing in as another user in the same browser signs the first one out: a feature', async () => {
    const { page, problems } = await open()
    const elsewhere = await open()
    await signIn(elsewhere.page, 'frank')
    await signIn(page, 'carol')
    expect(await read(page, '#store')).toContain('carol')

    // The provider ends carol's session, and says so on the back channel, before it sends the browser back.
    await signIn(page, 'dave')
    expect(await read(page, '#user')).toContain('dave')
    const left = await read(page, '#store')
    expect(left).toContain('dave')
    expect(left).toContain('frank')
    expect(left).not.toContain('carol')

    expect(await press(page, 'Evict this account')).toContain('The tokens are gone')
    expect(await read(page, '#store')).not.toContain('dave')
    expect(await press(elsewhere.page, 'Refresh')).toContain('A new token from the provider')
    expect([...problems, ...elsewhere.problems]).toEqual([])
  })

  /** A browser of its own, as far as cookies go, and all that goes wrong in it. */
  async function open(): Promise<{ page: Page; problems: string[] }> {
    const context = await browser.newContext()
    const page = await context.newPage()
    const problems: string[] = []
    page.on('pageerror', (error) => problems.push(String(error)))
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text())
    })
    page.on('request', (request) => {
      const { hostname, protocol } = new URL(request.url())
      if (hostname !== '127.0.0.1' && protocol !== 'data:') problems.push(`asked for ${request.url()}`)
    })
    await page.goto(app.url)
    return { page, problems }
  }

  async function signIn(page: Page, name: string): Promise<void> {
    await page.getByRole('link', { name: 'Sign in' }).click()
    await page.getByLabel('User name').fill(name)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.waitForURL(`${app.url}/`)
  }

  async function press(page: Page, name: string): Promise<string> {
    const loaded = page.waitForEvent('load')
    await page.getByRole('button', { name }).click()
    await loaded
    return read(page, '#outcome')
  }

  async function read(page: Page, section: '#user' | '#outcome' | '#store'): Promise<string> {
    return (await page.locator(section).textContent()) ?? ''
  }
})
