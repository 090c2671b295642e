// A worker: started by `Worker`, with --expose-gc.
import type { CommandMessage, ReplyMessage } from './commands.ts'
import { Stage } from './stage.ts'

const stage = new Stage()

function send(message: ReplyMessage): void {
  process.send?.(message)
}

process.on('message', async ({ id, name, parameters }: CommandMessage) => {
  try {
    const run: (...parameters: never[]) => Promise<unknown> = stage[name].bind(stage)
    send({ id, result: await run(...(parameters as never[])) })
  } catch (error) {
    send({ id, error: error instanceof Error ? `${error.stack}` : `${error}` })
  }
})
process.on('disconnect', () => process.exit())
