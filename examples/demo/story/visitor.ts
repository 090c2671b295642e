/** A user at the provider, without a browser: follows redirects and keeps cookies. */
export class Visitor {
  readonly #name: string
  readonly #cookies = new Map<string, { value: string; path: string }>()

  /** @param name any: the provider asks for no more */
  constructor(name: string) {
    this.#name = name
  }

  /**
   * Opens an authorization request and signs in.
   * @returns what the provider sends back to the app at `redirectUri`
   */
  async signIn(url: string, redirectUri: string): Promise<URLSearchParams> {
    const login = await this.#open(url)
    const back = await this.#open(login.url, { name: this.#name }, redirectUri)
    return new URL(back.url).searchParams
  }

  /**
   * Opens the provider's logout endpoint and confirms. The provider has called the apps back when this resolves.
   * @param backAt where the provider sends a browser afterwards
   */
  async signOut(url: string, backAt: string): Promise<void> {
    const question = await this.#open(url)
    const [, action = ''] = question.html.match(/ action="([^"]+)"/) ?? []
    const [, xsrf = ''] = question.html.match(/ name="xsrf" value="([^"]+)"/) ?? []
    await this.#open(action, { xsrf, logout: 'yes' }, backAt)
  }

  /** @param stopAt the beginning of a URL that is not opened any more */
  async #open(
    url: string,
    form?: Record<string, string>,
    stopAt?: string,
  ): Promise<{ url: string; html: string }> {
    const response = await fetch(url, {
      method: form ? 'POST' : 'GET',
      body: form ? new URLSearchParams(form) : null,
      redirect: 'manual',
      headers: { accept: 'text/html', cookie: this.#cookiesFor(new URL(url).pathname) },
    })
    for (const header of response.headers.getSetCookie()) this.#keep(header)
    const html = await response.text()
    const location = response.headers.get('location')
    if (location === null) {
      if (!response.ok) throw new Error(`The provider answered ${response.status}: ${html}`)
      return { url, html }
    }
    const next = new URL(location, url).href
    return stopAt !== undefined && next.startsWith(stopAt)
      ? { url: next, html }
      : this.#open(next, undefined, stopAt)
  }

  #cookiesFor(path: string): string {
    const sent = [...this.#cookies].filter(([, cookie]) => path.startsWith(cookie.path))
    return sent.map(([name, { value }]) => `${name}=${value}`).join('; ')
  }

  #keep(header: string): void {
    const [pair = '', ...attributes] = header.split('; ')
    const [name = '', value = ''] = pair.split('=')
    const path = attributes.find((attribute) => attribute.startsWith('path='))?.slice(5) ?? '/'
    if (value) this.#cookies.set(name, { value, path })
    else this.#cookies.delete(name)
  }
}
