import type { RecordView } from '../records.ts'
import { document } from './document.ts'
import { html } from './html.ts'
import { type Outcome, outcomeView } from './outcome.ts'
import { storeView } from './store.ts'
import { type StoryView, storySection } from './story.ts'
import { type TimelineView, timelineSection } from './timeline.ts'
import { type UserView, userView } from './user.ts'

/** What is behind the app, in words for the page. */
export interface About {
  readonly store: string
  readonly provider: string
  /** Where another app of the same provider runs. */
  readonly otherUrl?: string
}

export interface PageView {
  /** The app's client id. */
  readonly app: string
  readonly about: About | undefined
  readonly user: UserView | undefined
  readonly outcome: Outcome | undefined
  readonly records: readonly RecordView[]
  readonly story: StoryView | undefined
  readonly timeline: TimelineView | undefined
}

/** The page of an app. The script brings what is marked with `data-live` up to date. */
export function page({ app, about, user, outcome, records, story, timeline }: PageView): string {
  return document(
    `msal-keyv: ${app}`,
    html`
<header>
  <h1>msal-keyv <small>${app}</small></h1>
  <p class="lead">MSAL Node’s tokens in a Keyv store: one record per account, and an eviction that holds.</p>
  ${about && html`<p class="quiet">Here the store is ${about.store}, and the provider is ${about.provider}.</p>`}
</header>
<main>
  <div class="account">
    <section id="user" aria-labelledby="user-title" data-live>${userView(user, about?.otherUrl)}</section>
    <section id="outcome" role="status" data-live>${outcome && outcomeView(outcome)}</section>
    <section id="store" aria-labelledby="store-title" data-live>${storeView(records)}</section>
  </div>
  ${story && storySection(story)}
  ${timeline && timelineSection(timeline)}
</main>`,
    html`<link rel="stylesheet" href="/page.css"><script type="module" src="/page.js"></script>`,
  )
}
