import { Child } from '../support/child.ts'
import type { EntraStandIn } from '../support/entra.ts'
import { sampleModule, sampleUnder } from '../support/run-sample.ts'
import type { Request, SampleName, Settings } from './messages.ts'

const SAMPLES: Record<SampleName, [heading: string, names: string[]]> = {
  blob: ['## From one blob', ['importBlob', 'moveIn']],
  back: ['## The way back', ['exportBlob']],
  records: ['## From DistributedCachePlugin', ['records', 'moveIn', 'afterSignIn']],
  own: ['## From your own plugin', ['records']],
  passport: ['## From passport-azure-ad', ['moveIn']],
}

/** A server in a process of its own, whose provider is the stand-in here. */
export class Server {
  readonly #child: Child<Request, string | undefined>

  private constructor(child: Child<Request, string | undefined>) {
    this.#child = child
  }

  static async start(entra: EntraStandIn, started: Omit<Settings, 'samples'>): Promise<Server> {
    const settings: Settings = { ...started, samples: samplesFor(started.redisUrl) }
    const script = new URL('server-process.ts', import.meta.url)
    return new Server(await Child.start(script, settings, { provider: entra }))
  }

  signIn(session: string, code: string): Promise<unknown> {
    return this.#child.ask({ do: 'sign in', session, code })
  }

  token(session: string, forceRefresh = false): Promise<string | undefined> {
    return this.#child.ask({ do: 'token', session, forceRefresh })
  }

  signOut(session: string): Promise<unknown> {
    return this.#child.ask({ do: 'sign out', session })
  }

  import(): Promise<unknown> {
    return this.#child.ask({ do: 'import' })
  }

  export(sessions: readonly string[]): Promise<unknown> {
    return this.#child.ask({ do: 'export', sessions })
  }

  end(): Promise<void> {
    return this.#child.end()
  }
}

function samplesFor(redisUrl: string): Settings['samples'] {
  const modules = Object.entries(SAMPLES).map(([name, [heading, names]]) => {
    const code = sampleUnder('docs/migrate.md', heading)
    const address = 'redis://127.0.0.1:6379'
    return [name, sampleModule(code, code.includes(address) ? { [address]: redisUrl } : {}, names)]
  })
  return Object.fromEntries(modules) as Settings['samples']
}
