/**
 * What the samples in README.md and docs take for granted: an Express-like host and the constants of its sign-in.
 * test/docs.test.ts makes each constant a global of the samples, and of nothing else.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type {
  AccountInfo,
  AuthorizationCodeRequest,
  ConfidentialClientApplication,
  Configuration,
} from '@azure/msal-node'
import type { Keyv } from 'keyv'
import type {
  ConfidentialClients,
  HostSession,
  KeyvCachePlugin,
  LogoutHandler,
  PendingSignIn,
} from '../../src/index.ts'

/** As express-session keeps it. */
interface AppSession {
  account?: HostSession
  pending?: PendingSignIn
  logoutState?: string
  regenerate(done: (error?: unknown) => void): void
}

interface AppRequest extends IncomingMessage {
  readonly method: string
  readonly url: string
  readonly path: string
  readonly query: Readonly<Record<string, string | string[] | undefined>>
  readonly body: unknown
  readonly session: AppSession
}

interface AppResponse extends ServerResponse {
  status(code: number): this
  set(headers: Readonly<Record<string, string>>): this
  send(body?: string): this
  json(body: unknown): this
  redirect(url: string): void
  redirect(status: number, url: string): void
}

type Handler = (req: AppRequest, res: AppResponse, next: (error?: unknown) => void) => unknown
type Route = (path: string, ...handlers: Handler[]) => void

export const app: { get: Route; post: Route; all: Route; use(...handlers: Handler[]): void }
export const req: AppRequest
export const res: AppResponse

export const configuration: Configuration
export const auth: Configuration['auth']
export const clientId: string
export const issuer: string
export const redirectUri: string
export const postLogoutRedirectUri: string
export const scopes: string[]
export const tenantId: string
export const state: string
export const request: AuthorizationCodeRequest

export const store: Keyv
export const plugin: KeyvCachePlugin
export const msal: ConfidentialClients
export const logout: LogoutHandler
export const session: HostSession
export const account: AccountInfo
export const homeAccountId: string

/** Of a web API: the token that it was called with, and the name of the work that it goes on with. */
export const incomingToken: string
export const sessionKey: string

/** Of a host that does more by itself. */
export const client: ConfidentialClientApplication
export const result: { readonly idTokenClaims: { readonly login_hint?: string } }
export const nonce: string
export const codeChallenge: string
export const objectId: string
export const endSession: (sid: string) => Promise<void>

/** Of Microsoft Graph's change notifications. */
export const clientState: string
export const notificationUrl: string
export const graph: (method: string, path: string, body?: object) => Promise<Response>
export const keepSubscription: () => Promise<void>

/** OpenTelemetry's, as far as the samples use it. */
export const tracer: { startSpan(name: string): { recordException(error: Error): void; end(): void } }
