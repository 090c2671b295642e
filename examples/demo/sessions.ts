import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { HostSession } from '../../src/index.ts'
import type { PendingSignIn } from './msal.ts'
import type { Outcome } from './page/outcome.ts'

/** What the app knows of one browser. */
export interface Session {
  pending?: PendingSignIn
  user?: { username: string; account: HostSession }
  /** The `state` that the browser has to bring back from signing out at the provider. */
  signOutState?: string
  /** What the last button did. */
  outcome?: Outcome
}

/** The sessions of an app, in memory. A real app leaves them to its framework. */
export class Sessions {
  readonly #cookie: string
  readonly #sessions = new Map<string, Session>()

  /** @param name of the cookie: it is sent to every port of a host, so that two apps on loopback need two names */
  constructor(name: string) {
    this.#cookie = name
  }

  of(request: IncomingMessage): Session {
    return this.#sessions.get(this.#idOf(request)) ?? {}
  }

  /** Puts a session in place of the browser's, under a new id, and returns the cookie that says so. */
  replace(request: IncomingMessage, session: Session): string {
    this.#sessions.delete(this.#idOf(request))
    const id = randomUUID()
    this.#sessions.set(id, session)
    return `${this.#cookie}=${id}; Path=/; HttpOnly; SameSite=Lax`
  }

  #idOf(request: IncomingMessage): string {
    const cookies = (request.headers.cookie ?? '').split('; ').map((cookie) => cookie.split('='))
    return cookies.find(([name]) => name === this.#cookie)?.[1] ?? ''
  }
}
