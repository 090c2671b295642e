/** What a browser shows of the demo's pages. */
export interface ShownPage {
  readonly url: string
  readonly status: number
  readonly text: string
  readonly outcome: string
  readonly fingerprint: string | undefined
}

interface Cookie {
  readonly name: string
  readonly value: string
  readonly path: string
}

/** What a browser is to this flow: it follows redirects and keeps cookies, of one host and whatever port. */
export class HttpBrowser {
  #cookies: Cookie[] = []

  /** Another browser that has the same cookies at this moment: somebody planted or stole them. */
  copy(): HttpBrowser {
    const copy = new HttpBrowser()
    copy.#cookies = [...this.#cookies]
    return copy
  }

  get(url: string): Promise<ShownPage> {
    return this.#load(url)
  }

  post(url: string, form: Record<string, string> = {}): Promise<ShownPage> {
    return this.#load(url, new URLSearchParams(form))
  }

  /** Submits the only form of a page, with its hidden fields and one button. */
  submit({ url, text }: ShownPage, button: Record<string, string>): Promise<ShownPage> {
    const action = text.match(/<form[^>]* action="([^"]+)"/)?.[1] ?? ''
    const fields = text.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]+)"/g)
    const hidden = Object.fromEntries([...fields].map(([, name, value]) => [name, value]))
    return this.post(new URL(action, url).href, { ...hidden, ...button })
  }

  async #load(url: string, body?: URLSearchParams, redirects = 0): Promise<ShownPage> {
    if (redirects > 20) throw new Error(`too many redirects, the last to ${url}`)
    const response = await fetch(url, {
      method: body ? 'POST' : 'GET',
      body: body ?? null,
      redirect: 'manual',
      headers: { accept: 'text/html', cookie: this.#cookiesFor(new URL(url).pathname) },
    })
    for (const header of response.headers.getSetCookie()) this.#keep(header)
    const location = response.headers.get('location')
    if (location) return this.#load(new URL(location, url).href, undefined, redirects + 1)
    const text = await response.text()
    return {
      url,
      status: response.status,
      text,
      outcome: text.match(/id="outcome"[\s\S]*?<\/section>/)?.[0] ?? '',
      fingerprint: text.match(/Fingerprint<\/dt><dd><code>(\w+)/)?.[1],
    }
  }

  #cookiesFor(path: string): string {
    const sent = this.#cookies.filter((cookie) => path.startsWith(cookie.path))
    return sent.map(({ name, value }) => `${name}=${value}`).join('; ')
  }

  #keep(header: string): void {
    const [pair = '', ...attributes] = header.split('; ')
    const [name = '', ...parts] = pair.split('=')
    const value = parts.join('=')
    const path = attributes.find((attribute) => attribute.startsWith('path='))?.slice(5) ?? '/'
    this.#cookies = this.#cookies.filter((cookie) => cookie.name !== name || cookie.path !== path)
    if (value) this.#cookies.push({ name, value, path })
  }
}
