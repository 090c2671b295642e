import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Keyv } from 'keyv'
import type { HostSession, LogoutOutcome } from '../../src/index.ts'
import { Account, failure } from './account.ts'
import { type Answer, sendAnswer } from './answer.ts'
import { sendAsset } from './assets.ts'
import type { IdentityProvider } from './identity-provider.ts'
import { listen } from './listen.ts'
import { createLogout, createMsal } from './msal.ts'
import type { Outcome } from './page/outcome.ts'
import { type About, page } from './page/page.ts'
import type { StoryView } from './page/story.ts'
import { readRecords } from './records.ts'
import { type Session, Sessions } from './sessions.ts'
import { scenarios } from './story/scenarios.ts'
import type { RunningStory } from './story/story.ts'
import { Timeline } from './timeline.ts'

export interface AppOptions {
  store: Keyv
  provider: IdentityProvider
  /** Who the app is at the provider. Two apps may share a store. */
  clientId?: string
  host?: '127.0.0.1' | 'localhost'
  /** 0 takes a free port. */
  port?: number
  /** Hears of every logout callback. */
  onLogout?: (outcome: LogoutOutcome) => void
  /** Where what the app does is to be seen. The page shows it. */
  timeline?: Timeline
  /** The comparison on the page, or that there can be none here. */
  story?: RunningStory | 'unavailable'
  /** What the page says of the app itself. */
  about?: About
}

export interface RunningApp {
  readonly url: string
  close(): Promise<void>
}

/** A web app that signs users in with MSAL Node and keeps their tokens with msal-keyv. */
export async function startApp(options: AppOptions): Promise<RunningApp> {
  const {
    store,
    provider,
    clientId = 'demo-app',
    host = '127.0.0.1',
    port = 0,
    onLogout,
    about,
    story,
  } = options
  const server = createServer()
  const { url, close } = await listen(server, port, host)
  const uris = { redirectUri: `${url}/callback`, postLogoutRedirectUri: `${url}/signed-out` }

  const configuration = await provider.register({ clientId, ...uris, logoutUri: `${url}/logout-callback` })
  const msal = createMsal(configuration, store)
  const logout = createLogout(msal, provider)
  const account = new Account(msal, provider, uris)
  const sessions = new Sessions(`${clientId}-session`)
  const timeline = options.timeline ?? new Timeline()

  /** The provider calls this, from its server or from a hidden frame: as a rule without any cookie. */
  async function logoutCallback(request: IncomingMessage, { user }: Session): Promise<Answer> {
    const outcome = await logout.handle(request, user?.account)
    onLogout?.(outcome)
    return outcome
  }

  async function show({ user, outcome }: Session): Promise<Answer> {
    const isSignedIn = user !== undefined && (await msal.plugin.isSignedIn(user.account))
    const records = await readRecords(store)
    timeline.learnNames(records)
    return {
      html: page({
        app: clientId,
        about,
        user: user && { username: user.username, generation: user.account.generation, isSignedIn },
        outcome,
        records,
        story: story && storyView(story),
        timeline: options.timeline,
      }),
    }
  }

  /** Tells the page that there is something new, as server-sent events. */
  function follow(request: IncomingMessage, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    response.write(': what follows says only that the page has changed\n\n')
    request.once(
      'close',
      timeline.onChange(() => response.write('data: changed\n\n')),
    )
  }

  type Act = (account: HostSession) => Promise<Outcome>
  const actions: Record<string, { title: string; act: Act }> = {
    '/token': { title: 'Call the API', act: (of) => account.callApi(of, false) },
    '/refresh': { title: 'Refresh the token', act: (of) => account.callApi(of, true) },
    '/evict': { title: 'Evict', act: (of) => account.evict(of) },
  }

  async function get(pathname: string, query: URLSearchParams, request: IncomingMessage, session: Session) {
    if (pathname === '/signin') return account.signIn(session)
    if (pathname === '/callback')
      return timeline.during(clientId, 'Sign in', () => account.callback(session, query))
    if (pathname === '/signed-out') return account.signedOut(request, session)
    return undefined
  }

  async function post(pathname: string, session: Session): Promise<Answer | undefined> {
    if (pathname === '/signout') return timeline.during(clientId, 'Sign out', () => account.signOut(session))
    const scenario = pathname.match(/^\/story\/(\w+)$/)?.[1]
    if (scenario && typeof story === 'object') {
      return (await story.run(scenario)) ? { location: `/#${scenario}` } : undefined
    }
    const action = actions[pathname]
    if (!action) return undefined
    const { user } = session
    if (user) session.outcome = await timeline.during(clientId, action.title, () => action.act(user.account))
    return { location: '/' }
  }

  async function answer(request: IncomingMessage, session: Session): Promise<Answer | undefined> {
    const { pathname, searchParams } = new URL(request.url ?? '/', url)
    if (request.method === 'GET' && pathname === '/') return show(session)
    if (pathname === '/logout-callback') {
      return timeline.during(clientId, 'The provider calls back', () => logoutCallback(request, session))
    }
    try {
      if (request.method === 'GET') return await get(pathname, searchParams, request, session)
      if (request.method === 'POST' && isSameOrigin(request)) return await post(pathname, session)
      return undefined
    } catch (error) {
      session.outcome = failure(error)
      return { location: '/' }
    }
  }

  server.on('request', async (request: IncomingMessage, response: ServerResponse) => {
    if (sendAsset(request, response)) return
    if (request.url === '/events') return follow(request, response)
    try {
      const result = await answer(request, sessions.of(request))
      if (result && 'session' in result && result.session) {
        response.setHeader('set-cookie', sessions.replace(request, result.session))
      }
      sendAnswer(response, result, [provider.origin])
    } catch (error) {
      console.error(error)
      response.writeHead(500).end('Something went wrong; the console says what.\n')
    }
  })

  return {
    url,
    close: async () => {
      if (!options.timeline) timeline.close()
      await close()
    },
  }
}

function storyView(story: RunningStory | 'unavailable'): StoryView {
  return story === 'unavailable' ? { scenarios, unavailable: storyNeeds } : { scenarios: story.scenarios }
}

const storyNeeds =
  'These need people without passwords, and a provider whose answers can be held back: the one that the demo brings. ' +
  'Start it without the ENTRA_ variables.'

/** Browsers say where a request comes from. What says nothing is no browser, and carries nobody's cookies. */
function isSameOrigin(request: IncomingMessage): boolean {
  return ['same-origin', undefined].includes(request.headers['sec-fetch-site']?.toString())
}
