import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { json } from 'node:stream/consumers'
import { LocalServer } from '../logout/provider.ts'
import { lifecycleNotification, userNotification } from './graph-notifications.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
/** "41,760 minutes (under 29 days)". */
const LONGEST_SUBSCRIPTION = 41_760 * MINUTE
const VALIDATION_LIMIT = 10_000
const DELIVERY_LIMIT = 3_000
const GIVES_UP_AFTER = 4 * HOUR

export interface DirectoryUser {
  accountEnabled: boolean
  signInSessionsValidFromDateTime: string
  /** In the recycle bin: its id is not found. */
  isDeleted: boolean
}

interface Subscription {
  readonly id: string
  readonly changeType: string
  readonly resource: string
  readonly notificationUrl: string
  readonly lifecycleNotificationUrl?: string
  readonly clientState?: string
  expirationDateTime: string
}

interface Queued {
  readonly url: string
  readonly entry: object
  readonly since: number
  attempts: number
  due: number
}

/** What one POST of notifications met with; `undefined` when nothing answered within three seconds. */
export type Outcome = number | undefined

/**
 * A stand-in for Microsoft Graph, over HTTP, as its documentation says: subscriptions to users, validated when they
 * are created and renewed; notifications in collections, sent again with growing pauses for up to four hours unless
 * the answer is a 2xx within three seconds; lifecycle notifications. Its clock goes on by `pass()`, and it sends when
 * a test has it `deliver()`.
 */
export class GraphStandIn {
  readonly users = new Map<string, DirectoryUser>()
  readonly subscriptions = new Map<string, Subscription>()
  /** Notifications that were given up after four hours. */
  dropped = 0
  readonly #tenantId: string
  #server: LocalServer | undefined
  #queue: Queued[] = []
  #now = Date.now()

  private constructor(tenantId: string) {
    this.#tenantId = tenantId
  }

  static async start(tenantId: string): Promise<GraphStandIn> {
    const graph = new GraphStandIn(tenantId)
    graph.#server = await LocalServer.start((request, response) => void graph.#answer(request, response))
    return graph
  }

  /** In the place of https://graph.microsoft.com/v1.0. */
  get url(): string {
    return `${this.#server?.origin}/v1.0`
  }

  get pending(): number {
    return this.#queue.length
  }

  async stop(): Promise<void> {
    await this.#server?.stop()
  }

  addUser(objectId: string): void {
    const signInSessionsValidFromDateTime = new Date(this.#now - 1000 * HOUR).toISOString()
    this.users.set(objectId, { accountEnabled: true, signInSessionsValidFromDateTime, isDeleted: false })
  }

  /** Such as a new telephone number. */
  rename(objectId: string): void {
    this.#change(objectId, {})
  }

  disable(objectId: string): void {
    this.#change(objectId, { accountEnabled: false })
  }

  revokeSessions(objectId: string): void {
    this.#change(objectId, { signInSessionsValidFromDateTime: new Date(this.#now).toISOString() })
  }

  /** "Creation and soft-deletion of users also trigger the `updated` changeType." */
  delete(objectId: string): void {
    this.#change(objectId, { isDeleted: true })
  }

  /** What happens by itself 30 days after a deletion. */
  purge(objectId: string): void {
    this.users.delete(objectId)
    this.#notify(objectId, 'deleted')
  }

  #change(objectId: string, changes: Partial<DirectoryUser>): void {
    const user = this.users.get(objectId)
    if (user === undefined) throw new Error('no such user')
    Object.assign(user, changes)
    this.#notify(objectId, 'updated')
  }

  #notify(objectId: string, changeType: string): void {
    for (const { id, clientState = '', notificationUrl, ...subscription } of this.subscriptions.values()) {
      const isOver = Date.parse(subscription.expirationDateTime) <= this.#now
      if (isOver || !subscription.changeType.split(',').includes(changeType)) continue
      const members = { changeType, subscriptionId: id, tenantId: this.#tenantId }
      this.#enqueue(notificationUrl, userNotification(objectId, clientState, members))
    }
  }

  /** Tells the owner of a subscription what it needs. */
  tell(subscriptionId: string, event: 'reauthorizationRequired' | 'subscriptionRemoved' | 'missed'): void {
    const subscription = this.subscriptions.get(subscriptionId)
    if (event === 'subscriptionRemoved') this.subscriptions.delete(subscriptionId)
    if (subscription?.lifecycleNotificationUrl === undefined) return
    const entry = lifecycleNotification(event, subscriptionId, subscription.clientState ?? '')
    this.#enqueue(subscription.lifecycleNotificationUrl, { ...entry, tenantId: this.#tenantId })
  }

  #enqueue(url: string, entry: object): void {
    this.#queue.push({ url, entry, since: this.#now, attempts: 0, due: this.#now })
  }

  /** Lets time pass for subscriptions and retries. */
  pass(milliseconds: number): void {
    this.#now += milliseconds
  }

  /**
   * Sends what is due: one POST for each URL with all of it, newest first if `reversed`, and all twice if `twice`.
   * What was not accepted is sent again by a later call, after a pause.
   */
  async deliver({ reversed = false, twice = false } = {}): Promise<Outcome[]> {
    const due = this.#queue.filter((it) => it.due <= this.#now)
    this.#queue = this.#queue.filter((it) => it.due > this.#now)
    const byUrl = Map.groupBy(reversed ? due.toReversed() : due, (it) => it.url)
    const outcomes: Outcome[] = []
    for (const [url, batch] of byUrl) {
      for (let sent = 0; sent < (twice ? 2 : 1); sent++) outcomes.push(await this.#post(url, batch))
      const last = outcomes.at(-1)
      if (last === undefined || last < 200 || last > 299) for (const it of batch) this.#retry(it)
    }
    return outcomes
  }

  #post(url: string, batch: readonly Queued[]): Promise<Outcome> {
    const body = JSON.stringify({ value: batch.map(({ entry }) => entry) })
    const headers = { 'content-type': 'application/json; charset=utf-8' }
    return within(DELIVERY_LIMIT, async (signal) => {
      const response = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'manual' })
      await response.body?.cancel()
      return response.status
    })
  }

  #retry(queued: Queued): void {
    queued.attempts++
    queued.due = this.#now + Math.min(10_000 * 2 ** queued.attempts, 10 * MINUTE)
    if (queued.due - queued.since > GIVES_UP_AFTER) this.dropped++
    else this.#queue.push(queued)
  }

  /** "A body that includes the URL decoded plain text validation token", as `text/plain`, with 200, in ten seconds. */
  async #isValid(notificationUrl: string): Promise<boolean> {
    const url = new URL(notificationUrl)
    const token = `Validation: Testing client application reachability. 1+1=2, 100% Request-Id: ${randomUUID()}`
    url.searchParams.set('validationToken', token)
    const headers = { 'content-type': 'text/plain; charset=utf-8' }
    const isValid = await within(VALIDATION_LIMIT, async (signal) => {
      const response = await fetch(url, { method: 'POST', headers, signal, redirect: 'manual' })
      const isText = /^text\/plain(?:;|$)/.test(response.headers.get('content-type') ?? '')
      return (await response.text()) === token && response.status === 200 && isText
    })
    return isValid ?? false
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const [, , collection, id] = pathname.split('/')
    const isSignedIn = request.headers.authorization?.startsWith('Bearer ')
    const [status, body] = !isSignedIn
      ? [401, { error: { code: 'InvalidAuthenticationToken' } }]
      : collection === 'users'
        ? this.#readUser(id)
        : await this.#subscribe(request, id)
    const text = body === undefined ? undefined : JSON.stringify(body)
    response.writeHead(status, { 'content-type': 'application/json' }).end(text)
  }

  #readUser(objectId = ''): [number, object] {
    const user = this.users.get(objectId)
    if (user === undefined || user.isDeleted) return [404, { error: { code: 'Request_ResourceNotFound' } }]
    const { accountEnabled, signInSessionsValidFromDateTime } = user
    return [200, { accountEnabled, signInSessionsValidFromDateTime }]
  }

  async #subscribe(request: IncomingMessage, id: string | undefined): Promise<[number, object]> {
    if (request.method === 'GET') {
      return [200, { value: [...this.subscriptions.values()].map((it) => ({ ...it, clientState: null })) }]
    }
    const sent = (await json(request)) as Partial<Subscription>
    const known = id === undefined ? undefined : this.subscriptions.get(id)
    if (request.method === 'PATCH' && known === undefined)
      return [404, { error: { code: 'ResourceNotFound' } }]
    const subscription = { id: randomUUID(), ...known, ...sent } as Subscription
    if (!this.#isAcceptable(subscription)) return [400, { error: { code: 'InvalidRequest' } }]
    const { notificationUrl, lifecycleNotificationUrl = notificationUrl } = subscription
    for (const url of new Set([notificationUrl, lifecycleNotificationUrl])) {
      if (!(await this.#isValid(url))) return [400, { error: { code: 'ValidationError' } }]
    }
    this.subscriptions.set(subscription.id, subscription)
    return [known === undefined ? 201 : 200, subscription]
  }

  #isAcceptable({ resource, changeType, clientState = '', expirationDateTime }: Subscription): boolean {
    const rest = Date.parse(expirationDateTime) - this.#now
    return (
      /^\/?users$/.test(resource) &&
      changeType.split(',').every((it) => ['updated', 'deleted'].includes(it)) &&
      clientState.length <= 128 &&
      rest > 0 &&
      rest <= LONGEST_SUBSCRIPTION
    )
  }
}

/** Undefined when it fails, or takes longer. */
async function within<Result>(
  milliseconds: number,
  attempt: (signal: AbortSignal) => Promise<Result>,
): Promise<Result | undefined> {
  const deadline = new AbortController()
  // Not AbortSignal.timeout: a test can move this clock.
  const timer = setTimeout(() => deadline.abort(), milliseconds)
  try {
    return await attempt(deadline.signal)
  } catch {
    return undefined
  } finally {
    clearTimeout(timer)
  }
}
