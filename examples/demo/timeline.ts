import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import type { DiagnosticsEvents } from '../../src/index.ts'
import type { RecordView } from './records.ts'

const TRACES = ['msal-keyv:load', 'msal-keyv:commit', 'msal-keyv:evict', 'msal-keyv:logout'] as const
type Trace = (typeof TRACES)[number]

/** Something that was done in the demo, and what the library reported meanwhile. */
export interface Action {
  readonly id: string
  readonly title: string
  /** The app that did it. */
  readonly app: string
  readonly at: Date
  /** By the clock of `performance.now()`. */
  readonly startedAt: number
  readonly entries: readonly Entry[]
}

/** One trace, or one event, of the library's diagnostics channels. */
export interface Entry {
  readonly channel: Trace | keyof DiagnosticsEvents
  /** The name of the record that it is about. */
  readonly key: string | undefined
  /** By the clock of `performance.now()`. */
  readonly startedAt: number
  /** Undefined while it is still running. */
  endedAt: number | undefined
  /** In a word or two. */
  outcome: string
}

type EventName = keyof DiagnosticsEvents

/** What each means, in a few words. */
const meanings: Record<EventName, string> = {
  'msal-keyv:unreadable-record': 'counts as absent',
  'msal-keyv:unknown-session': 'names nobody known here',
  'msal-keyv:issuer-mismatch': 'no logout handler takes callbacks of its issuer',
  'msal-keyv:sign-in-without-link': 'no logout callback can find it',
  'msal-keyv:refused-write': 'began before the eviction',
  'msal-keyv:commit-failed': 'returned, but not stored',
  'msal-keyv:dropped-entities': 'belong to no account',
}

const EVENTS = Object.entries(meanings) as [EventName, string][]

interface TraceMessage {
  key?: string
  result?: { found?: boolean; existed?: boolean; result?: string }
  error?: unknown
}

interface OpenAction extends Action {
  readonly entries: Entry[]
}

const ACTIONS_KEPT = 8

/** Listens to the library's diagnostics channels, and files what it hears under the action that caused it. */
export class Timeline {
  /** An action goes along with all that is awaited in it. */
  readonly #current = new AsyncLocalStorage<OpenAction>()
  readonly #actions: OpenAction[] = []
  readonly #names = new Map<string, string>()
  readonly #listeners = new Set<() => void>()
  readonly #unsubscribe: (() => void)[] = []
  #count = 0

  constructor() {
    for (const name of TRACES) this.#listenToTrace(name)
    for (const [name, meaning] of EVENTS) this.#listenToEvent(name, meaning)
  }

  /** The last actions of which anything was heard, newest first. */
  get actions(): readonly Action[] {
    return this.#actions.toReversed()
  }

  /** Runs `fn` as an action of its own. */
  during<Result>(app: string, title: string, fn: () => Result): Result {
    return this.within(this.begin(app, title), fn)
  }

  /** A new action, for {@link within}. */
  begin(app: string, title: string): Action {
    const id = `action-${++this.#count}`
    return { id, app, title, at: new Date(), startedAt: performance.now(), entries: [] }
  }

  /** Runs `fn` as a part of an action, such as a request that the provider makes because of it. */
  within<Result>(action: Action, fn: () => Result): Result {
    return this.#current.run(action as OpenAction, fn)
  }

  /** Remembers whose the records are: the library's messages name no account. */
  learnNames(records: readonly RecordView[]): void {
    for (const { key, partition } of records) {
      if (partition) this.#names.set(key, partition.usernames.join(', '))
    }
  }

  /** Whose record that is, as far as it has been seen in the store. */
  nameOf(key: string): string | undefined {
    return this.#names.get(key)
  }

  /** Calls back whenever there is something new; returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
  }

  #listenToTrace(name: Trace): void {
    const running = new WeakMap<object, Entry>()
    const finish = (message: object, outcome: string) => {
      const entry = running.get(message)
      if (!entry || entry.endedAt !== undefined) return
      entry.endedAt = performance.now()
      entry.outcome = outcome
      this.#changed()
    }
    const handlers = {
      start: (message: object) => {
        const entry = this.#file(name, message)
        if (entry) running.set(message, entry)
      },
      end: () => {},
      asyncStart: () => {},
      asyncEnd: (message: object) => finish(message, describe(name, message)),
      error: (message: object) => finish(message, 'failed'),
    }
    tracingChannel(name).subscribe(handlers)
    this.#unsubscribe.push(() => tracingChannel(name).unsubscribe(handlers))
  }

  #listenToEvent(name: EventName, meaning: string): void {
    const handler = (message: unknown) => {
      const entry = this.#file(name, message as object)
      if (!entry) return
      entry.endedAt = entry.startedAt
      entry.outcome = meaning
      this.#changed()
    }
    subscribe(name, handler)
    this.#unsubscribe.push(() => unsubscribe(name, handler))
  }

  /** What belongs to no action, such as what the page itself reads, is left out. */
  #file(channel: Entry['channel'], { key }: TraceMessage): Entry | undefined {
    const action = this.#current.getStore()
    if (!action) return undefined
    const entry: Entry = {
      channel,
      key,
      startedAt: performance.now(),
      endedAt: undefined,
      outcome: 'running',
    }
    if (action.entries.length === 0) this.#keep(action)
    action.entries.push(entry)
    return entry
  }

  #keep(action: OpenAction): void {
    this.#actions.push(action)
    if (this.#actions.length > ACTIONS_KEPT) this.#actions.shift()
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}

function describe(name: Trace, { result }: TraceMessage): string {
  switch (name) {
    case 'msal-keyv:load':
      return result?.found ? 'found' : 'nothing there'
    case 'msal-keyv:commit':
      return 'stored'
    case 'msal-keyv:evict':
      return result?.existed ? 'tokens deleted' : 'nothing left to delete'
    case 'msal-keyv:logout':
      return result?.result ?? ''
  }
}
