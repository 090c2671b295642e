import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Commands, ReplyMessage } from './commands.ts'

type Settle = PromiseWithResolvers<unknown>

/** A process that measures. It ends with this one at the latest. */
export class Worker {
  readonly #process: ChildProcess
  readonly #asked = new Map<number, Settle>()
  #ended = false
  #commands = 0

  constructor() {
    // Functions that are not used for a while would be compiled again, in the time of the next turn.
    const execArgv = ['--expose-gc', '--no-flush-bytecode']
    this.#process = fork(new URL('process.ts', import.meta.url), { execArgv, serialization: 'advanced' })
    this.#process.on('message', (reply: ReplyMessage) => this.#settle(reply))
    this.#process.once('exit', (code) => {
      this.#ended = true
      for (const { reject } of this.#asked.values()) reject(new Error(`a worker ended with ${code}`))
    })
  }

  call<Name extends keyof Commands>(
    name: Name,
    ...parameters: Parameters<Commands[Name]>
  ): ReturnType<Commands[Name]> {
    const id = this.#commands++
    const asked: Settle = Promise.withResolvers<unknown>()
    this.#asked.set(id, asked)
    this.#process.send({ id, name, parameters })
    return asked.promise as ReturnType<Commands[Name]>
  }

  async end(): Promise<void> {
    if (this.#ended) return
    const exit = once(this.#process, 'exit')
    this.#process.disconnect()
    await exit
  }

  #settle(reply: ReplyMessage): void {
    const asked = this.#asked.get(reply.id)
    this.#asked.delete(reply.id)
    if ('error' in reply) asked?.reject(new Error(reply.error))
    else asked?.resolve(reply.result)
  }
}
