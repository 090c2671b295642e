import { type Html, html } from './html.ts'
import { fromNow } from './time.ts'

/** What the last button did. */
export type Outcome =
  | { kind: 'signed-in'; username: string }
  | {
      kind: 'token'
      api: string
      caller: string
      fromCache: boolean
      fingerprint: string
      scopes: readonly string[]
      expiresAt: Date | null
    }
  | { kind: 'signed-out' }
  | { kind: 'evicted'; at: Date; existed: boolean }
  | { kind: 'failed'; signInAgain: boolean; code: string; message: string }

export function outcomeView(outcome: Outcome): Html {
  switch (outcome.kind) {
    case 'signed-in':
      return html`<h3 class="good">Signed in</h3>
        <p>The tokens of ${outcome.username} are in the store, in a record of their own.</p>`
    case 'token':
      return html`<h3 class="good">The API knows you as ${outcome.caller}</h3>
        <dl>
          <dt>Token</dt><dd>${outcome.fromCache ? 'A token from the cache' : 'A new token from the provider'}</dd>
          <dt>Expires</dt><dd>${outcome.expiresAt ? fromNow(outcome.expiresAt) : 'unknown'}</dd>
          <dt>Scopes</dt><dd>${outcome.scopes.join(' ')}</dd>
          <dt>Fingerprint</dt><dd><code>${outcome.fingerprint}</code></dd>
          <dt>API</dt><dd>${outcome.api}</dd>
        </dl>`
    case 'signed-out':
      return html`<h3 class="good">Signed out</h3>
        <p>The tokens are gone. If you signed out at the provider too, it has told every app.</p>`
    case 'evicted':
      return html`<h3 class="good">Evicted</h3>
        <p>${outcome.existed ? 'The tokens are gone' : 'There was nothing left to delete'}, as of
          ${outcome.at.toISOString()}. A refresh that is still in flight somewhere cannot bring them back.</p>`
    case 'failed':
      return html`<h3 class="bad">${outcome.signInAgain ? 'MSAL says: sign in again' : 'That failed'}</h3>
        <dl><dt>Code</dt><dd><code>${outcome.code}</code></dd><dt>Message</dt><dd>${outcome.message}</dd></dl>`
  }
}
