import { type Html, html } from './html.ts'

export interface UserView {
  readonly username: string
  readonly generation: string
  readonly isSignedIn: boolean
}

/** Who is signed in, and what they can do. */
export function userView(user: UserView | undefined, otherUrl: string | undefined): Html {
  return html`
  <h2 id="user-title">Your sign-in</h2>
  ${user ? signedIn(user) : signedOut}
  ${
    otherUrl &&
    html`<p class="quiet hint">Sign in to <a id="other" href="${otherUrl}" target="_blank">the other app</a> too, in
      a second tab, and sign out there: this page follows.</p>`
  }`
}

const signedOut = html`
  <p class="name">Nobody is signed in</p>
  <div class="actions"><a class="button primary" id="sign-in" href="/signin">Sign in</a></div>`

function signedIn({ username, generation, isSignedIn }: UserView): Html {
  return html`
  <p class="name">${username}</p>
  <p class="quiet">${isSignedIn ? html`<span class="good">signed in</span>` : html`<span class="bad">evicted</span>`},
    generation <code>${generation}</code></p>
  <div class="actions">
    ${isSignedIn ? undefined : html`<a class="button primary" id="sign-in" href="/signin">Sign in again</a>`}
    ${button('/token', 'Call the API', isSignedIn && 'primary')}
    ${button('/refresh', 'Refresh the token')}
    ${button('/evict', 'Evict')}
    <form method="post" action="/signout"><button id="signout">Sign out</button></form>
  </div>`
}

/** A button that stays on this page. */
function button(action: string, label: string, style: string | false = false): Html {
  return html`<form method="post" action="${action}" data-stays>
    <button id="${action.slice(1)}"${style && html` class="${style}"`}>${label}</button>
  </form>`
}
