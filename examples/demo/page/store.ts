import { plural } from '../plural.ts'
import type { RecordKind, RecordView, TokenCacheView } from '../records.ts'
import { type Html, html } from './html.ts'
import { fromNow } from './time.ts'

/** What is in the app's store: all but the tokens. */
export function storeView(records: readonly RecordView[]): Html {
  const accounts = records.filter(({ kind }) => kind === 'partition')
  const others = records.filter(({ kind }) => kind !== 'partition')
  return html`
  <h2 id="store-title">In the store</h2>
  ${
    accounts.length > 0
      ? html`<ul class="records">${accounts.map(account)}</ul>`
      : html`<p class="none">No account: nobody’s tokens are here.</p>`
  }
  ${others.length > 0 && otherRecords(others)}`
}

function account({ key, bytes, generations, expiresAt, partition }: RecordView): Html {
  return html`<li>
    ${partition && contents(partition)}
    <dl class="fine">
      <dt>Generation</dt><dd><code>${generations[0]}</code></dd>
      <dt>Key</dt><dd><code>${key}</code></dd>
      <dt>Kept</dt><dd>${bytes.toLocaleString('en')} bytes, expires ${fromNow(expiresAt)}</dd>
    </dl>
  </li>`
}

function contents({ usernames, accessTokens, refreshTokens }: TokenCacheView): Html {
  return html`<p><strong>${usernames.join(', ')}</strong></p>
    <p class="quiet">${accessTokens.map(({ expiresAt }) => html`access token, expires ${fromNow(expiresAt)}; `)}
      ${refreshTokens > 0 ? plural(refreshTokens, 'refresh token') : 'no refresh token'}</p>`
}

const meanings: Record<RecordKind, string> = {
  partition: 'an account’s tokens',
  'session link': 'a session or a person at the provider, and whose sign-in ends with it',
  generation: 'of an evicted account: records of any other generation count for nothing',
  'logout token': 'has been carried out, and will not be a second time',
  other: 'of no kind that this page knows',
}

function otherRecords(records: readonly RecordView[]): Html {
  return html`<details id="other-records">
    <summary id="other-records-summary">${plural(records.length, 'more record')}, without a token</summary>
    <ul class="others fine">${records.map(
      ({ key, kind, expiresAt }) =>
        html`<li><strong>${kind}</strong>: ${meanings[kind]}<br><code>${key}</code>, expires ${fromNow(expiresAt)}</li>`,
    )}</ul>
  </details>`
}
