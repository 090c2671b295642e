import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { NetworkRequestOptions } from '@azure/msal-node'
import type { EntraStandIn } from '../support/entra.ts'
import { sampleModule, sampleUnder } from '../support/run-sample.ts'
import type { FromServer, Request, SampleName, Settings, ToServer } from './messages.ts'

const SAMPLES: Record<SampleName, [heading: string, names: string[]]> = {
  blob: ['## From one blob', ['importBlob', 'moveIn']],
  back: ['## The way back', ['exportBlob']],
  records: ['## From DistributedCachePlugin', ['records', 'moveIn', 'afterSignIn']],
  own: ['## From your own plugin', ['records']],
  passport: ['## From passport-azure-ad', ['moveIn']],
}

/** A server in a process of its own, whose provider is the stand-in here. */
export class Server {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, PromiseWithResolvers<string | undefined>>()
  #requests = 0

  private constructor(child: ChildProcess, entra: EntraStandIn) {
    this.#child = child
    child.on('message', (message: FromServer) => this.#receive(message, entra))
  }

  static async start(entra: EntraStandIn, started: Omit<Settings, 'samples'>): Promise<Server> {
    const settings: Settings = { ...started, samples: samplesFor(started.redisUrl) }
    const script = new URL('server-process.ts', import.meta.url)
    const child = fork(script, [JSON.stringify(settings)], { stdio: 'inherit' })
    const server = new Server(child, entra)
    const died = once(child, 'exit').then(() =>
      Promise.reject(new Error(`a server (${settings.kind}) did not start`)),
    )
    await Promise.race([once(child, 'message'), died])
    return server
  }

  signIn(session: string, code: string): Promise<unknown> {
    return this.#ask({ do: 'sign in', session, code })
  }

  token(session: string, forceRefresh = false): Promise<string | undefined> {
    return this.#ask({ do: 'token', session, forceRefresh })
  }

  signOut(session: string): Promise<unknown> {
    return this.#ask({ do: 'sign out', session })
  }

  import(): Promise<unknown> {
    return this.#ask({ do: 'import' })
  }

  export(sessions: readonly string[]): Promise<unknown> {
    return this.#ask({ do: 'export', sessions })
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#send({ kind: 'end' })
    await ended
  }

  #ask(request: Request): Promise<string | undefined> {
    const id = this.#requests++
    const waiting = Promise.withResolvers<string | undefined>()
    this.#waiting.set(id, waiting)
    this.#send({ kind: 'request', id, request })
    return waiting.promise
  }

  async #receive(message: FromServer, entra: EntraStandIn): Promise<void> {
    if (message.kind === 'provider') {
      const options: NetworkRequestOptions = { body: message.body }
      const response = await entra.sendPostRequestAsync<unknown>(message.url, options)
      this.#send({ kind: 'provided', id: message.id, response })
    } else if (message.kind === 'answer') {
      this.#waiting.get(message.id)?.resolve(message.token)
    } else if (message.kind === 'failure') {
      this.#waiting.get(message.id)?.reject(new Error(message.message))
    }
  }

  #send(message: ToServer): void {
    this.#child.send(message)
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
