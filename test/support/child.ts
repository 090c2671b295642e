import { type ChildProcess, type ForkOptions, fork } from 'node:child_process'
import { once } from 'node:events'
import type { INetworkModule, NetworkResponse } from '@azure/msal-node'

export type ToChild<Request> =
  | { readonly kind: 'request'; readonly id: number; readonly request: Request }
  | { readonly kind: 'provided'; readonly id: number; readonly response: NetworkResponse<unknown> }
  | { readonly kind: 'end' }

export type ToParent<Answer> =
  | { readonly kind: 'ready' }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer }
  | { readonly kind: 'failure'; readonly id: number; readonly message: string }
  | { readonly kind: 'provider'; readonly id: number; readonly url: string; readonly body: string }

export interface ChildOptions extends ForkOptions {
  /** What is the identity provider of the child, in this process. */
  readonly provider?: INetworkModule
}

/** A process that this one has started and asks. Its script uses parent.ts. */
export class Child<Request, Answer> {
  readonly #process: ChildProcess
  readonly #provider: INetworkModule | undefined
  readonly #waiting = new Map<number, PromiseWithResolvers<Answer>>()
  #asked = 0

  private constructor(child: ChildProcess, provider: INetworkModule | undefined) {
    this.#process = child
    this.#provider = provider
    child.on('message', (message: ToParent<Answer>) => this.#receive(message))
    child.on('exit', (code) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the process has ended: ${code}`))
    })
  }

  static async start<Request, Answer = unknown>(
    script: URL,
    settings: object,
    { provider, ...options }: ChildOptions = {},
  ): Promise<Child<Request, Answer>> {
    const child = fork(script, [JSON.stringify(settings)], { stdio: 'inherit', ...options })
    const died = once(child, 'exit').then(() => Promise.reject(new Error(`${script.pathname} did not start`)))
    const started = new Child<Request, Answer>(child, provider)
    await Promise.race([once(child, 'message'), died])
    return started
  }

  ask(request: Request): Promise<Answer> {
    const id = this.#asked++
    const waiting = Promise.withResolvers<Answer>()
    this.#waiting.set(id, waiting)
    this.#send({ kind: 'request', id, request })
    return waiting.promise
  }

  async end(): Promise<void> {
    if (this.#process.exitCode !== null) return
    const ended = once(this.#process, 'exit')
    this.#send({ kind: 'end' })
    await ended
  }

  async #receive(message: ToParent<Answer>): Promise<void> {
    if (message.kind === 'provider') {
      const { id, url, body } = message
      const response = await this.#provider?.sendPostRequestAsync<unknown>(url, { body })
      if (response !== undefined) this.#send({ kind: 'provided', id, response })
    } else if (message.kind !== 'ready') {
      const waiting = this.#waiting.get(message.id)
      this.#waiting.delete(message.id)
      if (message.kind === 'answer') waiting?.resolve(message.answer)
      else waiting?.reject(new Error(message.message))
    }
  }

  #send(message: ToChild<Request>): void {
    this.#process.send(message)
  }
}
