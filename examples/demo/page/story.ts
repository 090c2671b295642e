import { plural } from '../plural.ts'
import type { Report, ReportedRecord, Scenario } from '../story/scenarios.ts'
import type { PlayedScenario } from '../story/story.ts'
import { type Html, html } from './html.ts'

export interface StoryView {
  readonly scenarios: readonly ScenarioView[]
  /** Why they cannot be played here. */
  readonly unavailable?: string
}

type ScenarioView = Omit<Scenario, 'play'> & Partial<Omit<PlayedScenario, keyof Scenario>>

const stockName = 'DistributedCachePlugin'
const keyvName = 'msal-keyv'

/** The comparison: the same buttons for both plugins. */
export function storySection({ scenarios, unavailable }: StoryView): Html {
  return html`
<section id="story" aria-labelledby="story-title">
  <h2 id="story-title">The same app on two cache plugins</h2>
  <p class="lead">Microsoft’s <code>${stockName}</code>, wired as in its samples, beside msal-keyv: the same provider,
    the same store, the same calls. Each button does the same to both.</p>
  ${unavailable && html`<p class="note" id="story-unavailable">${unavailable}</p>`}
  ${scenarios.map((scenario) => scenarioView(scenario, unavailable !== undefined))}
</section>`
}

function scenarioView(
  { id, title, description, note, isRunning = false, outcome }: ScenarioView,
  isUnavailable: boolean,
): Html {
  const disabled = html` disabled aria-describedby="story-unavailable"`
  return html`
<article class="scenario" id="${id}" aria-labelledby="${id}-title">
  <header>
    <div>
      <h3 id="${id}-title">${title}</h3>
      <p>${description}</p>
      <p class="quiet">${note}</p>
    </div>
    <form method="post" action="/story/${id}" data-stays="${id}-status">
      <button id="${id}-run" aria-labelledby="${id}-run ${id}-title"${isUnavailable && disabled}>Run on both</button>
      <p class="quiet" id="${id}-status" role="status" data-live>${status(isRunning, outcome)}</p>
    </form>
  </header>
  <div class="sides" id="${id}-outcome" data-live>
    ${outcome && html`${side(id, stockName, outcome.stock)}${side(id, keyvName, outcome.keyv)}`}
  </div>
</article>`
}

function status(isRunning: boolean, outcome: PlayedScenario['outcome']): string {
  if (isRunning) return 'Running…'
  if (!outcome) return ''
  return `${stockName}: ${word(outcome.stock)}. ${keyvName}: ${word(outcome.keyv)}.`
}

function word({ isRight }: Report): string {
  return isRight ? 'right' : 'wrong'
}

function side(id: string, name: string, report: Report): Html {
  const { isRight, summary, steps, records } = report
  const heading = `${id}-${name}`
  return html`
<section class="side" aria-labelledby="${heading}">
  <h4 id="${heading}">${name === stockName && 'Microsoft’s '}${name}</h4>
  <p class="verdict ${isRight ? 'good' : 'bad'}"><strong>${isRight ? '✓ Right.' : '✗ Wrong.'}</strong> ${summary}</p>
  <ol class="steps">${steps.map(({ what, seen }) => html`<li>${what} <span>${seen}</span></li>`)}</ol>
  <div>
    <h5>${records.length > 0 ? plural(records.length, 'record') : 'Nothing'} in its store afterwards</h5>
    ${records.length > 0 && html`<ul class="records compact">${records.map((record) => recordView(record, records.length > 4))}</ul>`}
  </div>
</section>`
}

function recordView(
  { accounts, accessTokens, refreshTokens, flaw }: ReportedRecord,
  isOneOfMany: boolean,
): Html {
  const tokens = isOneOfMany
    ? plural(accessTokens + refreshTokens, 'token')
    : `${plural(accessTokens, 'access token')}, ${plural(refreshTokens, 'refresh token')}`
  return html`<li${flaw && html` class="flawed"`}>
    ${flaw && html`<p class="bad"><strong>✗ ${flaw}</strong></p>`}
    <p><strong>${accounts.join(', ')}</strong></p>
    <p class="quiet">${tokens}</p>
  </li>`
}
