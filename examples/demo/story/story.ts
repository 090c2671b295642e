import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Keyv } from 'keyv'
import { listen } from '../listen.ts'
import type { RunningProvider } from '../provider.ts'
import type { Timeline } from '../timeline.ts'
import type { Host } from './host.ts'
import { KeyvHost } from './keyv-host.ts'
import { type Report, type Scenario, scenarios } from './scenarios.ts'
import { Stage } from './stage.ts'
import { StockHost } from './stock-host.ts'

export interface StoryOptions {
  readonly provider: RunningProvider
  /** A store for each side, emptied before each scenario. */
  readonly stores: Readonly<Record<Side, Keyv>>
  readonly timeline: Timeline
}

/** Microsoft's plugin, or msal-keyv. */
export type Side = 'stock' | 'keyv'

export interface PlayedScenario extends Omit<Scenario, 'play'> {
  readonly isRunning: boolean
  /** How it went the last time. */
  readonly outcome?: Readonly<Record<Side, Report>>
}

/** Two hosts that differ in their cache plugin alone, and what happens to them. */
export interface RunningStory {
  readonly scenarios: readonly PlayedScenario[]
  /** Plays a scenario on either side, one after the other. False where there is none of that name. */
  run(id: string): Promise<boolean>
  close(): Promise<void>
}

/** Registers the apps of the story with the provider, and waits for its logout callbacks. */
export async function startStory({ provider, stores, timeline }: StoryOptions): Promise<RunningStory> {
  const server = createServer()
  const { url, close } = await listen(server)
  const uris = { redirectUri: `${url}/callback`, postLogoutRedirectUri: `${url}/signed-out` }
  const app = (side: Side) =>
    provider.register({ clientId: `story-${side}`, ...uris, logoutUri: `${url}/logout-callback` })
  const [stock, keyv, other] = await Promise.all([
    app('stock'),
    app('keyv'),
    provider.register({ clientId: 'story-other', ...uris }),
  ])
  const makeHost: Record<Side, () => Host> = {
    stock: () => new StockHost(stock, stores.stock),
    keyv: () => new KeyvHost(keyv, stores.keyv, provider.logout, timeline),
  }
  const outcomes = new Map<string, Readonly<Record<Side, Report>>>()
  let onCallback: (request: IncomingMessage, response: ServerResponse) => Promise<void>
  let running: string | undefined
  let lastRun: Promise<unknown> = Promise.resolve()

  /** On a host that nothing has happened to yet. */
  async function play({ title, play }: Scenario, side: Side): Promise<Report> {
    const host = makeHost[side]()
    await host.clear()
    const stage = new Stage(provider, other, uris)
    const action = timeline.begin(host.clientId, title)
    onCallback = async (request, response) => {
      const answer = await timeline.within(action, () => host.logoutCallback(request))
      stage.calledBack(answer)
      response.writeHead(answer.status, answer.headers).end(answer.body)
    }
    return timeline.within(action, () => play(host, stage))
  }

  async function playBoth(scenario: Scenario): Promise<void> {
    running = scenario.id
    try {
      outcomes.set(scenario.id, { stock: await play(scenario, 'stock'), keyv: await play(scenario, 'keyv') })
    } finally {
      running = undefined
    }
  }

  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    onCallback(request, response).catch((error: unknown) => response.destroy(error as Error))
  })

  return {
    get scenarios() {
      return scenarios.map(({ play: _, ...scenario }) => {
        const outcome = outcomes.get(scenario.id)
        return { ...scenario, isRunning: scenario.id === running, ...(outcome && { outcome }) }
      })
    },
    async run(id) {
      const scenario = scenarios.find((candidate) => candidate.id === id)
      if (!scenario) return false
      // One at a time: there is one store for each side.
      const run = lastRun.then(() => playBoth(scenario))
      lastRun = run.catch(() => {})
      await run
      return true
    },
    close,
  }
}
