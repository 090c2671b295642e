import { document } from './document.ts'
import { html } from './html.ts'

export interface LogoutPageView {
  /** Who is signed in at the provider. */
  readonly name: string | undefined
  /** The provider's form, without buttons. */
  readonly form: string
}

/** The provider's question after an app has sent the browser here to sign out: RP-Initiated Logout 1.0 §2. */
export function logoutPage({ name, form }: LogoutPageView): string {
  return document(
    'Sign out',
    html`
<main class="dialog">
  <p class="eyebrow">The OpenID provider</p>
  <h1>Sign out</h1>
  <p class="quiet"><strong>${name}</strong> is signed in here, and so perhaps in other apps. Each of them is told.</p>
  ${{ markup: form }}
  <div class="actions">
    <button class="primary" form="op.logoutForm" name="logout" value="yes" autofocus>Sign out everywhere</button>
    <button form="op.logoutForm">This app only</button>
  </div>
</main>`,
  )
}
