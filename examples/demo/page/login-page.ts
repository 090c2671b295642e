import { document } from './document.ts'
import { html } from './html.ts'

export interface LoginPageView {
  readonly client: string
  readonly scope: string
  /** Who is signed in at the provider already. */
  readonly name: string | undefined
}

/** The provider's sign-in and consent in one page. */
export function loginPage({ client, scope, name = 'alice' }: LoginPageView): string {
  return document(
    'Sign in',
    html`
<main class="dialog">
  <p class="eyebrow">The OpenID provider</p>
  <h1>Sign in</h1>
  <p class="quiet">to <strong>${client}</strong>, which asks for <code>${scope}</code></p>
  <form method="post">
    <label for="name">User name</label>
    <input id="name" name="name" value="${name}" required maxlength="64" pattern=".*\\S.*" autocomplete="off"
      aria-describedby="name-hint" autofocus>
    <p class="quiet hint" id="name-hint">Any name is an account here. There are no passwords.</p>
    <div class="actions"><button class="primary">Sign in</button></div>
  </form>
</main>`,
  )
}
