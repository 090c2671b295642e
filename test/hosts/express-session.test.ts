import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ConfidentialClients } from '../../src/index.ts'
import { EntraStandIn, type User } from '../support/entra.ts'
import { callbackUrl, logoutUrl, makeHostParts } from '../support/host-parts.ts'
import type { RunningHost } from '../support/hosts.ts'
import { startSessionHost } from '../support/session-host.ts'

describe('an eviction, in an Express host with express-session', () => {
  let entra: EntraStandIn
  let msal: ConfidentialClients
  let host: RunningHost
  let alice: User
  let phone: Browser
  let laptop: Browser
  let bobs: Browser

  beforeEach(async () => {
    entra = new EntraStandIn({ size: 'small' })
    const parts = makeHostParts(entra)
    msal = parts.msal
    host = await startSessionHost(parts)
    alice = entra.user()
    const bob = entra.user()
    phone = new Browser(host)
    laptop = new Browser(host)
    bobs = new Browser(host)
    for (const [browser, user] of [
      [phone, alice],
      [laptop, alice],
      [bobs, bob],
    ] as const) {
      await browser.signIn(entra.code(user))
      expect(await browser.open()).toEqual({ status: 200, text: user.homeAccountId })
    }
  })

  afterEach(async () => {
    if (bobs) expect(await bobs.open()).toMatchObject({ status: 200 })
    await host?.close()
  })

  const signedOut = { status: 401, text: 'signed out' }

  test("by the app's own hand ends the account's sessions in every browser at their next request", async () => {
    await msal.plugin.evictAccount(alice.homeAccountId)
    expect(await phone.open()).toEqual(signedOut)
    expect(await laptop.open()).toEqual(signedOut)
  })

  test('by a logout callback that knows no browser does the same', async () => {
    const callback = await fetch(logoutUrl(host, { sid: alice.sid ?? '' }))
    expect(callback.status).toBe(200)
    expect(await phone.open()).toEqual(signedOut)
    expect(await laptop.open()).toEqual(signedOut)
  })

  test('is not undone for the other browsers when the user signs in again in one', async () => {
    await msal.plugin.evictAccount(alice.homeAccountId)
    await phone.signIn(entra.code(alice))
    expect(await phone.open()).toEqual({ status: 200, text: alice.homeAccountId })
    expect(await laptop.open()).toEqual(signedOut)
    expect(await phone.open()).toMatchObject({ status: 200 })
  })
})

/** One cookie jar. */
class Browser {
  readonly #host: RunningHost
  #cookie = ''

  constructor(host: RunningHost) {
    this.#host = host
  }

  async signIn(code: string): Promise<void> {
    const { status } = await this.#get(callbackUrl(this.#host, code))
    expect(status).toBe(302)
  }

  open(): Promise<{ status: number; text: string }> {
    return this.#get(this.#host.url)
  }

  async #get(url: string): Promise<{ status: number; text: string }> {
    const headers = { cookie: this.#cookie }
    const response = await fetch(url, { headers, redirect: 'manual' })
    const [cookie] = response.headers.getSetCookie()
    this.#cookie = cookie?.split(';')[0] ?? this.#cookie
    return { status: response.status, text: await response.text() }
  }
}
