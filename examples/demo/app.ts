import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AuthError, InteractionRequiredAuthError } from '@azure/msal-node'
import type { Keyv } from 'keyv'
import { type HostSession, type LogoutOutcome, MsalKeyvError, parsePostLogout } from '../../src/index.ts'
import { beginSignIn, createLogout, createMsal, type PendingSignIn, scopes } from './msal.ts'
import { type Outcome, page } from './page.ts'
import type { RunningProvider } from './provider.ts'
import { readRecords } from './records.ts'

export interface AppOptions {
  store: Keyv
  provider: RunningProvider
  /** Who the app is at the provider. Two apps may share a store. */
  clientId?: string
  /** 0 takes a free port. */
  port?: number
  /** Hears of every logout callback. */
  onLogout?: (outcome: LogoutOutcome) => void
}

export interface RunningApp {
  readonly url: string
  close(): Promise<void>
}

/** What the app knows of one browser. A real app keeps this in its framework's session. */
interface Session {
  pending?: PendingSignIn
  user?: { username: string; account: HostSession }
  /** The `state` that the browser has to bring back from signing out at the provider. */
  signOutState?: string
  outcome?: Outcome
}

/**
 * A page, the answer to a logout callback, or where to go next; `session` takes the place of the browser's session,
 * under a new id.
 */
type Answer = { html: string } | LogoutOutcome | { location: string; session?: Session }

/** A web app that signs users in with MSAL Node and keeps their tokens with msal-keyv. */
export async function startApp(options: AppOptions): Promise<RunningApp> {
  const { store, provider, clientId = 'demo-app', port = 0, onLogout } = options
  const server = createServer()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const redirectUri = `${url}/callback`
  const postLogoutRedirectUri = `${url}/signed-out`
  // A cookie is sent to every port of a host: two apps on loopback need two names.
  const cookieName = `${clientId}-session`

  const { clientSecret } = await provider.register({
    client_id: clientId,
    redirect_uris: [redirectUri],
    post_logout_redirect_uris: [postLogoutRedirectUri],
    grant_types: ['authorization_code', 'refresh_token'],
    // These two make the provider put `sid`, its session's id, into the ID token.
    backchannel_logout_uri: `${url}/logout-callback`,
    backchannel_logout_session_required: true,
  })
  const msal = createMsal({ store, provider, clientId, clientSecret })
  const logout = createLogout(msal, provider)
  const sessions = new Map<string, Session>()

  async function signIn(session: Session): Promise<Answer> {
    const { authCodeUrl, pending } = await beginSignIn(msal, redirectUri)
    // Only in this demo: the provider's https name exists for MSAL alone.
    return { location: provider.browserUrl(authCodeUrl), session: { ...session, pending } }
  }

  async function callback(session: Session, query: URLSearchParams): Promise<Answer> {
    const { pending } = session
    delete session.pending
    if (!pending) return { location: '/' }
    // State, nonce and PKCE are checked against what is pending.
    const { session: account, result } = await msal.acquireTokenByCode(
      { scopes, redirectUri, ...pending },
      query,
    )
    const username = result.account?.username ?? ''
    return {
      location: '/',
      session: { user: { username, account }, outcome: { kind: 'signed-in', username } },
    }
  }

  async function token(account: HostSession, forceRefresh: boolean): Promise<Outcome> {
    const result = await msal.acquireTokenSilent(account, { scopes, forceRefresh })
    return {
      kind: 'token',
      fromCache: result.fromCache,
      fingerprint: fingerprint(result.accessToken),
      scopes: result.scopes,
      expiresAt: result.expiresOn,
    }
  }

  async function evict(account: HostSession): Promise<Outcome> {
    const { evictedAt, existed } = await msal.plugin.evictAccount(account.homeAccountId)
    return { kind: 'evicted', at: evictedAt, existed }
  }

  async function signOut({ user }: Session): Promise<Answer> {
    if (!user) return { location: '/' }
    const state = randomUUID()
    const url = await msal.signOut(user.account, { postLogoutRedirectUri, state })
    return { location: provider.browserUrl(url.href), session: { signOutState: state } }
  }

  /** Back from the provider. Anybody can send a browser here, so without the right state nothing happens. */
  function signedOut(request: IncomingMessage, { signOutState }: Session): Answer {
    const { state } = parsePostLogout(request)
    if (state === undefined || state !== signOutState) return { location: '/' }
    return { location: '/', session: { outcome: { kind: 'signed-out' } } }
  }

  /** The provider calls this, from its server or from a hidden frame: as a rule without any cookie. */
  async function logoutCallback(request: IncomingMessage, { user }: Session): Promise<Answer> {
    const outcome = await logout.handle(request, user?.account)
    onLogout?.(outcome)
    return outcome
  }

  async function show({ user, outcome }: Session): Promise<Answer> {
    const isSignedIn = user !== undefined && (await msal.plugin.isSignedIn(user.account))
    return {
      html: page({
        app: clientId,
        user: user && { username: user.username, generation: user.account.generation, isSignedIn },
        outcome,
        records: await readRecords(store),
      }),
    }
  }

  const actions: Record<string, (account: HostSession) => Promise<Outcome>> = {
    '/token': (account) => token(account, false),
    '/refresh': (account) => token(account, true),
    '/evict': evict,
  }

  async function answer(request: IncomingMessage, session: Session): Promise<Answer | undefined> {
    const { pathname, searchParams } = new URL(request.url ?? '/', url)
    if (request.method === 'GET' && pathname === '/') return show(session)
    if (pathname === '/logout-callback') return logoutCallback(request, session)
    try {
      if (request.method === 'GET' && pathname === '/signin') return await signIn(session)
      if (request.method === 'GET' && pathname === '/callback') return await callback(session, searchParams)
      if (request.method === 'POST' && pathname === '/signout') return await signOut(session)
      if (request.method === 'GET' && pathname === '/signed-out') return signedOut(request, session)
      const action = request.method === 'POST' ? actions[pathname] : undefined
      if (!action) return undefined
      if (session.user) session.outcome = await action(session.user.account)
    } catch (error) {
      session.outcome = failure(error)
    }
    return { location: '/' }
  }

  server.on('request', async (request: IncomingMessage, response: ServerResponse) => {
    try {
      const id = sessionId(request, cookieName)
      const result = await answer(request, sessions.get(id) ?? {})
      if (result && 'session' in result) {
        sessions.delete(id)
        const newId = randomUUID()
        sessions.set(newId, result.session)
        response.setHeader('set-cookie', `${cookieName}=${newId}; Path=/; HttpOnly; SameSite=Lax`)
      }
      send(response, result)
    } catch (error) {
      console.error(error)
      response.writeHead(500).end('Something went wrong; the console says what.\n')
    }
  })

  return {
    url,
    close: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** What a user is told; anything unexpected is the server's own problem. */
function failure(error: unknown): Outcome {
  if (error instanceof AuthError) {
    const signInAgain = error instanceof InteractionRequiredAuthError
    return { kind: 'failed', signInAgain, code: error.errorCode, message: error.errorMessage }
  }
  if (error instanceof MsalKeyvError) {
    return { kind: 'failed', signInAgain: false, code: error.code, message: error.message }
  }
  throw error
}

/** Enough to see whether a token is the same as before, of no use to anybody who sees it. */
function fingerprint(token: string): string {
  return createHash('sha256').update(token).digest('hex').slice(0, 12)
}

function sessionId(request: IncomingMessage, cookieName: string): string {
  const cookies = (request.headers.cookie ?? '').split('; ').map((cookie) => cookie.split('='))
  return cookies.find(([name]) => name === cookieName)?.[1] ?? ''
}

function send(response: ServerResponse, answer: Answer | undefined): void {
  response.setHeader('cache-control', 'no-store')
  if (!answer) {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('Not found\n')
  } else if ('html' in answer) {
    response.setHeader(
      'content-security-policy',
      "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    )
    response.setHeader('content-type', 'text/html; charset=utf-8')
    response.end(answer.html)
  } else if ('status' in answer) {
    response.writeHead(answer.status, answer.headers).end(answer.body)
  } else {
    response.writeHead(303, { location: answer.location }).end()
  }
}
