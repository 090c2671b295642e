import { document, type Html, html } from './html.ts'
import type { PartitionView, RecordKind, RecordView } from './records.ts'

/** What the last button did. */
export type Outcome =
  | { kind: 'signed-in'; username: string }
  | {
      kind: 'token'
      fromCache: boolean
      fingerprint: string
      scopes: readonly string[]
      expiresAt: Date | null
    }
  | { kind: 'signed-out' }
  | { kind: 'evicted'; at: Date; existed: boolean }
  | { kind: 'failed'; signInAgain: boolean; code: string; message: string }

export interface PageView {
  /** The app's client id. */
  readonly app: string
  readonly user: { username: string; generation: string; isSignedIn: boolean } | undefined
  readonly outcome: Outcome | undefined
  readonly records: readonly RecordView[]
}

export function page({ app, user, outcome, records }: PageView): string {
  const accounts = records.filter(({ kind }) => kind === 'partition')
  const others = records.filter(({ kind }) => kind !== 'partition')
  return document(
    `msal-keyv: ${app}`,
    html`
<header>
  <h1>msal-keyv demo <span class="quiet">${app}</span></h1>
  <p class="quiet">MSAL Node’s tokens in a Keyv store: one record per account, and an eviction that holds.</p>
</header>
<main>
  <section class="card" id="user">${user ? signedIn(user) : signedOut}</section>
  ${outcome && html`<section class="card" id="outcome" role="status">${describe(outcome)}</section>`}
  <section class="card" id="store">
    <h2>Accounts in the store</h2>
    ${accounts.length > 0 ? accountTable(accounts) : html`<p class="quiet">None: nobody’s tokens are here.</p>`}
  </section>
  ${
    others.length > 0
      ? html`<section class="card" id="others"><h2>Beside them, without a token</h2>${otherTable(others)}</section>`
      : undefined
  }
</main>`,
  )
}

const signedOut = html`
  <p class="user">Nobody is signed in</p>
  <p class="quiet">Any name will do. Use two browsers, or a private window, to see two accounts side by side.</p>
  <div class="actions"><a class="button primary" href="/signin">Sign in</a></div>`

function signedIn({ username, generation, isSignedIn }: NonNullable<PageView['user']>): Html {
  return html`
  <p class="user">${username}</p>
  <p>${isSignedIn ? html`<span class="good">signed in</span>` : html`<span class="bad">evicted</span>`}
    <span class="quiet">· this session belongs to generation <code>${generation}</code></span></p>
  <div class="actions">
    ${button('/token', 'Get a token silently', isSignedIn ? 'primary' : '')}
    ${button('/refresh', 'Refresh')}
    ${button('/signout', 'Sign out')}
    ${button('/evict', 'Evict this account', 'danger')}
    <a class="button ${isSignedIn ? '' : 'primary'}" href="/signin">Sign in ${isSignedIn ? 'as another user' : 'again'}</a>
  </div>`
}

function button(action: string, label: string, style = ''): Html {
  return html`<form method="post" action="${action}"><button class="${style}">${label}</button></form>`
}

function describe(outcome: Outcome): Html {
  switch (outcome.kind) {
    case 'signed-in':
      return html`<h2 class="good">Signed in</h2>
        <p>The tokens of ${outcome.username} are in the store, in a record of their own.</p>`
    case 'token':
      return html`<h2 class="good">${outcome.fromCache ? 'A token from the cache' : 'A new token from the provider'}</h2>
        <dl>
          <dt>Fingerprint</dt><dd><code>${outcome.fingerprint}</code></dd>
          <dt>Scopes</dt><dd><code>${outcome.scopes.join(' ')}</code></dd>
          <dt>Expires</dt><dd>${outcome.expiresAt ? inTime(outcome.expiresAt) : 'unknown'}</dd>
        </dl>`
    case 'signed-out':
      return html`<h2 class="good">Signed out</h2>
        <p>The tokens are gone. Whoever signs out at the provider too is signed out of every app: it tells them all.</p>`
    case 'evicted':
      return html`<h2 class="good">Evicted</h2>
        <p>${outcome.existed ? 'The tokens are gone' : 'There was nothing left to delete'}, as of
          ${outcome.at.toISOString()}. A refresh still in flight somewhere cannot bring them back:
          whatever it writes is of the old generation.</p>`
    case 'failed':
      return html`<h2 class="bad">${outcome.signInAgain ? 'MSAL says: sign in again' : 'That failed'}</h2>
        <dl><dt>Code</dt><dd><code>${outcome.code}</code></dd><dt>Message</dt><dd>${outcome.message}</dd></dl>`
  }
}

function accountTable(records: readonly RecordView[]): Html {
  return html`<div class="scroll"><table>
    <thead><tr><th>Holds</th><th>Generation</th><th>Size</th><th>Expires</th><th>Key</th></tr></thead>
    <tbody>${records.map(accountRow)}</tbody>
  </table></div>`
}

function accountRow({ key, bytes, generations, expiresAt, partition }: RecordView): Html {
  return html`<tr>
    <td>${partition && tokens(partition)}</td>
    <td><code>${generations[0]}</code></td>
    <td class="nowrap">${bytes.toLocaleString('en')} bytes</td>
    <td class="nowrap">${inTime(expiresAt)}</td>
    <td><code>${key}</code></td>
  </tr>`
}

const meanings: Record<RecordKind, string> = {
  partition: 'an account’s tokens',
  'session link': 'a session or a person at the provider, and whose sign-in ends with it',
  generation: 'of an evicted account: records of any other generation count for nothing',
  'logout token': 'has been carried out, and will not be a second time',
  other: 'of no kind that this page knows',
}

function otherTable(records: readonly RecordView[]): Html {
  const kinds = Object.entries(meanings).map(([kind, meaning]) => {
    const ofKind = records.filter((record) => record.kind === kind)
    return ofKind.length > 0 ? otherRows(kind, meaning, ofKind) : html``
  })
  return html`<div class="scroll"><table>
    <thead><tr><th>Generation</th><th>Expires</th><th>Key</th></tr></thead>
    ${kinds}
  </table></div>`
}

function otherRows(kind: string, meaning: string, records: readonly RecordView[]): Html {
  return html`<tbody>
    <tr><th colspan="3" scope="rowgroup"><strong>${kind}</strong> ${meaning}</th></tr>
    ${records.map(
      ({ key, expiresAt, generations }) => html`<tr>
        <td>${generations.map((generation) => html`<code>${generation}</code> `)}</td>
        <td class="nowrap">${inTime(expiresAt)}</td>
        <td><code>${key}</code></td>
      </tr>`,
    )}
  </tbody>`
}

function tokens({ usernames, accessTokens, hasRefreshToken }: PartitionView): Html {
  return html`<strong>${usernames.join(', ')}</strong>
    ${accessTokens.map(
      ({ scopes, expiresAt }) =>
        html`<p>access token <code>${scopes}</code>, expires ${inTime(expiresAt)}</p>`,
    )}
    <p>${hasRefreshToken ? 'refresh token' : 'no refresh token'}</p>`
}

const relativeTime = new Intl.RelativeTimeFormat('en')

function inTime(date: Date): Html {
  const minutes = Math.round((date.getTime() - Date.now()) / 60_000)
  const [amount, unit] =
    Math.abs(minutes) < 120
      ? ([minutes, 'minute'] as const)
      : Math.abs(minutes) < 48 * 60
        ? ([Math.round(minutes / 60), 'hour'] as const)
        : ([Math.round(minutes / 1440), 'day'] as const)
  return html`<time datetime="${date.toISOString()}">${relativeTime.format(amount, unit)}</time>`
}
