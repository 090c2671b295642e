import type { Keyv } from 'keyv'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type RunningApp, startApp } from '../../examples/demo/app.ts'
import { type RunningProvider, startProvider } from '../../examples/demo/provider.ts'
import { openStore } from '../../examples/demo/store.ts'
import { type RunningStory, startStory } from '../../examples/demo/story/story.ts'
import { Timeline } from '../../examples/demo/timeline.ts'
import { seriousFindings } from '../support/axe.ts'
import { findBrowser, launchBrowser } from '../support/browser.ts'
import { length } from '../support/length.ts'
import { missingBrowser } from '../support/missing-browser.ts'

/** Of a telephone, a tablet and a desk. */
const WIDTHS = [360, 768, 1280]

// A browser takes its time where many tests run at once.
describe.skipIf(missingBrowser())('the demo page in a browser', { timeout: 120_000 }, () => {
  let stores: Record<'tokens' | 'stock' | 'keyv', Keyv>
  let provider: RunningProvider
  let timeline: Timeline
  let story: RunningStory
  let other: RunningApp
  let app: RunningApp
  let browser: Browser
  /** All that went wrong in a browser. */
  let problems: string[]

  beforeAll(async () => {
    stores = { tokens: openStore(':memory:'), stock: openStore(':memory:'), keyv: openStore(':memory:') }
    timeline = new Timeline()
    provider = await startProvider()
    story = await startStory({ provider, stores, timeline })
    const parts = { store: stores.tokens, provider, timeline }
    const about = { store: 'SQLite', provider: provider.name }
    other = await startApp({ ...parts, clientId: 'other-app', about })
    app = await startApp({ ...parts, story, about: { ...about, otherUrl: other.url } })
    browser = await launchBrowser(findBrowser() ?? '')
  })

  afterAll(async () => {
    await browser?.close()
    await Promise.all([app?.close(), other?.close(), story?.close(), provider?.close()])
    await Promise.all(Object.values(stores ?? {}).map((store) => store.disconnect()))
    timeline?.close()
  })

  beforeEach(() => {
    problems = []
  })

  afterEach(async () => {
    await Promise.all(browser?.contexts().map((context) => context.close()))
    expect(problems).toEqual([])
  })

  test('sign in, call the API, refresh, evict, gone', async () => {
    const page = await open()
    await signIn(page, 'alice')
    await shows(page, '#user', 'signed in')
    await shows(page, '#outcome', 'Signed in')
    await shows(page, '#store', 'alice')

    await press(page, 'Call the API', 'The API knows you as alice')
    await shows(page, '#outcome', 'A token from the cache')
    await press(page, 'Refresh the token', 'A new token from the provider')
    await press(page, 'Evict', 'The tokens are gone')
    await shows(page, '#user', 'evicted')
    expect(await page.locator('#store .records').count()).toBe(0)
    await press(page, 'Call the API', 'MSAL says: sign in again')
    await shows(page, '#timeline', 'alice: tokens deleted')
  })

  test('sign out here and at the provider', async () => {
    const page = await open()
    await signIn(page, 'erin')
    await page.getByRole('button', { name: 'Sign out', exact: true }).click()
    await page.getByRole('heading', { name: 'Sign out' }).waitFor()
    await shows(page, 'main', 'erin')
    await page.getByRole('button', { name: 'Sign out everywhere' }).click()
    await page.waitForURL(`${app.url}/`)
    await shows(page, '#outcome', 'Signed out')
    await shows(page, '#user', 'Nobody is signed in')
    expect(await page.locator('#store').textContent()).not.toContain('erin')
  })

  test('a sign-out in the other app shows here without a reload', async () => {
    const page = await open()
    await signIn(page, 'grace')
    const [tab] = await Promise.all([
      page.context().waitForEvent('page'),
      page.getByRole('link', { name: 'the other app' }).click(),
    ])
    watch(tab)
    await signIn(tab, 'grace', other)
    await tab.getByRole('button', { name: 'Sign out', exact: true }).click()
    await tab.getByRole('button', { name: 'Sign out everywhere' }).click()
    await tab.waitForURL(`${other.url}/`)

    await shows(page, '#user', 'evicted')
    await shows(page, '#timeline', 'logout callback')
    expect(await page.locator('#store').textContent()).not.toContain('grace')
    await press(page, 'Call the API', 'MSAL says: sign in again')
  })

  test('signing in as another user in the same browser signs the first one out: a feature', async () => {
    const page = await open()
    const elsewhere = await open()
    await signIn(elsewhere, 'frank')
    await signIn(page, 'carol')
    await shows(page, '#store', 'carol')

    // The provider ends carol's session, and says so on the back channel, before it sends the browser back.
    await page.goto(`${app.url}/signin`)
    await enter(page, 'dave')
    await shows(page, '#user', 'dave')
    const left = await page.locator('#store').textContent()
    expect(left).toContain('dave')
    expect(left).toContain('frank')
    expect(left).not.toContain('carol')
    await press(elsewhere, 'Refresh the token', 'A new token from the provider')
  })

  test('the same buttons for both plugins, and what is wrong is said in words', async () => {
    const page = await open()
    for (const [id, scenario, flaw] of [
      ['twenty', 'Twenty sign-ins at once', '✗ 20 people in one record'],
      ['eviction', 'Evict during a refresh', '✗ came back after the eviction'],
      ['elsewhere', 'Sign out of the other app', '✗ left after the sign-out'],
    ] as const) {
      const article = page.getByRole('article', { name: scenario })
      const button = article.getByRole('button', { name: `Run on both ${scenario}` })
      await played(page, id, () => button.click())
      const stock = article.getByRole('region', { name: 'Microsoft’s DistributedCachePlugin' })
      const keyv = article.getByRole('region', { name: 'msal-keyv' })
      expect(await stock.textContent()).toContain('✗ Wrong.')
      expect(await stock.textContent()).toContain(flaw)
      expect(await keyv.textContent()).toContain('✓ Right.')
      expect(await keyv.textContent()).not.toContain('✗')
      await page.locator('#actions details').first().getByText(scenario).waitFor()
    }
  })

  test('by keyboard alone: each stop is visible, in order, and kept when the page changes', async () => {
    const page = await open()
    await page.keyboard.press('Tab')
    expect(await focused(page)).toMatchObject({ id: 'sign-in' })
    await page.keyboard.press('Enter')
    await page.getByLabel('User name').fill('heidi')
    await page.keyboard.press('Enter')
    await page.waitForURL(`${app.url}/`)

    const stops = ['token', 'refresh', 'evict', 'signout', 'other']
    for (const id of stops) {
      await page.keyboard.press('Tab')
      expect(await focused(page)).toEqual({ id, outlined: true })
    }
    await page.locator('#refresh').focus()
    await page.keyboard.press('Space')
    await shows(page, '#outcome', 'A new token from the provider')
    expect(await focused(page)).toMatchObject({ id: 'refresh' })
    await page.locator('#eviction-run').focus()
    await played(page, 'eviction', () => page.keyboard.press('Enter'))
    expect(await focused(page)).toEqual({ id: 'eviction-run', outlined: true })

    // What the reader has opened stays open when the page is brought up to date, and the reader stays there.
    const action = page.locator('#actions > details').nth(1)
    const id = await action.getAttribute('id')
    await action.locator('summary').first().focus()
    await page.keyboard.press('Enter')
    await fetch(`${app.url}/evict`, { method: 'POST', headers: { cookie: await cookiesOf(page) } })
    await shows(page, '#user', 'evicted')
    expect(await page.locator(`#${id}[open]`).count()).toBe(1)
    expect(await focused(page)).toEqual({ id: `${id}-summary`, outlined: true })

    await page.locator('#evict').focus()
    await page.keyboard.press('Enter')
    await shows(page, '#outcome', 'nothing left to delete')
    expect(await focused(page)).toMatchObject({ id: 'evict' })
  })

  test('status messages are in live regions that stay while their content changes', async () => {
    const page = await open()
    await signIn(page, 'ivan')
    const before = await page.locator('#outcome[role=status]').elementHandle()
    await press(page, 'Call the API', 'The API knows you as ivan')
    expect(await before?.evaluate((region) => region.isConnected && region.textContent)).toContain('ivan')
  })

  // A long run looks at every width in both colours.
  describe.each([
    ['light', length({ short: [360], long: WIDTHS })],
    ['dark', length({ short: [1280], long: WIDTHS })],
  ] as const)('in %s colours', (colorScheme, examined) => {
    test('no serious finding of axe on the page, nor anything beside it in three widths', async () => {
      const page = await open({ colorScheme })
      expect(await seriousFindings(page)).toEqual([])
      await signIn(page, 'judy')
      for (const { id } of story.scenarios) {
        await played(page, id, () => page.locator(`#${id}-run`).click())
      }
      await press(page, 'Call the API', 'judy')
      await page.evaluate('for (const details of document.querySelectorAll("details")) details.open = true')
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: 900 })
        if (examined.includes(width)) expect(await seriousFindings(page)).toEqual([])
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
      }
      const ids = await page.evaluate<string[]>('[...document.querySelectorAll("[id]")].map(({ id }) => id)')
      expect(ids).toEqual([...new Set(ids)])
    })

    test("nor on the provider's pages", async () => {
      const page = await open({ colorScheme })
      await page.getByRole('link', { name: 'Sign in' }).click()
      await page.getByRole('heading', { name: 'Sign in' }).waitFor()
      expect(await seriousFindings(page)).toEqual([])
      await enter(page, 'judy')
      await page.getByRole('button', { name: 'Sign out', exact: true }).click()
      await page.getByRole('heading', { name: 'Sign out' }).waitFor()
      expect(await seriousFindings(page)).toEqual([])
    })
  })

  test('works without JavaScript', async () => {
    const page = await open({ javaScriptEnabled: false })
    await signIn(page, 'kim')
    await page.getByRole('button', { name: 'Call the API' }).click()
    await shows(page, '#outcome', 'The API knows you as kim')
    await page.locator('#elsewhere-run').click()
    await shows(page, '#elsewhere-status', 'DistributedCachePlugin: wrong. msal-keyv: right.')
  })

  test('no form of another site can press a button here', async () => {
    const page = await open()
    await signIn(page, 'liam')
    for (const action of ['evict', 'signout', 'story/eviction']) {
      const forged = await fetch(`${app.url}/${action}`, {
        method: 'POST',
        headers: { cookie: await cookiesOf(page), 'sec-fetch-site': 'same-site' },
      })
      expect(forged.status).toBe(404)
    }
    await press(page, 'Call the API', 'A token from the cache')
  })

  /** A browser of its own, as far as cookies go. */
  async function open(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext(options)
    const page = await context.newPage()
    watch(page)
    await page.goto(app.url)
    return page
  }

  function watch(page: Page): void {
    page.on('pageerror', (error) => problems.push(String(error)))
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) problems.push(message.text())
    })
    page.on('request', (request) => {
      if (new URL(request.url()).hostname !== '127.0.0.1') problems.push(`asked for ${request.url()}`)
    })
  }

  async function signIn(page: Page, name: string, at = app): Promise<void> {
    await page.getByRole('link', { name: 'Sign in' }).click()
    await enter(page, name, at)
  }

  async function enter(page: Page, name: string, at = app): Promise<void> {
    await page.getByLabel('User name').fill(name)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.waitForURL(`${at.url}/`)
  }

  async function press(page: Page, name: string, outcome: string): Promise<void> {
    await page.getByRole('button', { name, exact: true }).click()
    await shows(page, '#outcome', outcome)
  }

  /** Runs a scenario, and resolves once the page says how it went. */
  async function played(page: Page, id: string, run: () => Promise<void>): Promise<void> {
    const answered = page.waitForResponse(`${app.url}/story/${id}`)
    await run()
    await answered
    await shows(page, `#${id}-status[role=status]`, 'DistributedCachePlugin: wrong. msal-keyv: right.')
  }

  async function shows(page: Page, place: string, text: string): Promise<void> {
    await page.locator(place).filter({ hasText: text }).waitFor()
  }

  function focused(page: Page): Promise<{ id: string; outlined: boolean }> {
    return page.evaluate(`(() => {
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement)
      return { id: document.activeElement.id, outlined: outlineStyle === 'solid' && parseInt(outlineWidth) >= 2 }
    })()`)
  }

  async function cookiesOf(page: Page): Promise<string> {
    const cookies = await page.context().cookies()
    return cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
  }
})
