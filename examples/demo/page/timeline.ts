import { plural } from '../plural.ts'
import type { Action, Entry, Timeline } from '../timeline.ts'
import { type Html, html } from './html.ts'
import { milliseconds, timeOfDay } from './time.ts'

export type TimelineView = Pick<Timeline, 'actions' | 'nameOf'>

/** How many entries of an action are shown at first. */
const SHOWN = 12

/** What the library reported, action by action, newest first. */
export function timelineSection(timeline: TimelineView): Html {
  const { actions } = timeline
  return html`
<section id="timeline" aria-labelledby="timeline-title">
  <h2 id="timeline-title">Time line</h2>
  <p class="lead">Loads, commits, evictions and logout callbacks, as msal-keyv reports them on Node’s
    diagnostics channels. No message carries a token or an account id: this page knows the names from the store.</p>
  <div id="actions" data-live>
    ${
      actions.length > 0
        ? actions.map((action, index) => actionView(action, index === 0, timeline))
        : html`<p class="none">Nothing yet. Sign in, or run something above.</p>`
    }
  </div>
</section>`
}

function actionView(action: Action, isOpen: boolean, timeline: TimelineView): Html {
  const { id, title, app, at, startedAt, entries } = action
  const length = Math.max(...entries.map((entry) => endOf(entry) - startedAt))
  const rows = entries.map((entry) =>
    entryView(entry, startedAt, length, entry.key && timeline.nameOf(entry.key)),
  )
  const [first, rest] = [rows.slice(0, SHOWN), rows.slice(SHOWN)]
  return html`
<details class="action" id="${id}"${isOpen && html` open`}>
  <summary id="${id}-summary"><strong>${title}</strong>
    <span class="quiet">${app}, ${timeOfDay(at)}, ${plural(entries.length, 'entry', 'entries')} in ${milliseconds(length)}</span>
  </summary>
  <ol class="entries">${first}</ol>
  ${
    rest.length > 0 &&
    html`<details id="${id}-rest"><summary id="${id}-rest-summary">${plural(rest.length, 'more entry', 'more entries')}</summary>
      <ol class="entries" start="${SHOWN + 1}">${rest}</ol></details>`
  }
</details>`
}

function entryView(entry: Entry, from: number, length: number, name: string | undefined): Html {
  const begin = entry.startedAt - from
  const took = endOf(entry) - entry.startedAt
  const kind = entry.channel.slice('msal-keyv:'.length)
  const percent = (duration: number) => `${((100 * duration) / length).toFixed(2)}%`
  return html`<li class="${kind}">
    <span class="kind">${kind === 'logout' ? 'logout callback' : kind.replaceAll('-', ' ')}</span>
    <span class="outcome">${name}${name && ': '}${entry.outcome}</span>
    <svg width="100%" height="12" aria-hidden="true">
      <rect x="${percent(begin)}" width="${percent(took)}" y="3" height="6" />
      <rect x="${percent(begin)}" width="2" y="1" height="10" />
    </svg>
    <span class="when quiet">at ${milliseconds(begin)}${took > 0 && `, took ${milliseconds(took)}`}</span>
  </li>`
}

/** By the clock of `performance.now()`. */
function endOf({ endedAt = performance.now() }: Entry): number {
  return endedAt
}
