import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { HostSession } from '../src/index.ts'
import type { ContractStore } from './contract/contract-store.ts'
import { redis } from './contract/stores/redis.ts'
import { sqlite } from './contract/stores/sqlite.ts'
import type { Command } from './support/host-process.ts'
import { missingProgram } from './support/programs.ts'

class HostProcess {
  readonly #child: ChildProcess

  constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start(store: ContractStore): Promise<HostProcess> {
    const script = new URL('./support/host-process.ts', import.meta.url)
    const child = fork(script, [JSON.stringify(store.address())], { stdio: 'inherit' })
    await once(child, 'message')
    return new HostProcess(child)
  }

  async ask(command: Command): Promise<unknown> {
    const answered = once(this.#child, 'message')
    this.#child.send(command)
    const [{ result, error }] = (await answered) as [{ result?: unknown; error?: string }]
    if (error !== undefined) throw new Error(error)
    return result
  }

  async end(): Promise<void> {
    const ended = once(this.#child, 'exit')
    this.#child.send({ do: 'end' } satisfies Command)
    await ended
  }
}

for (const store of [redis, sqlite]) {
  describe.skipIf(missingProgram(...store.programs))(`two processes on one ${store.name}`, () => {
    let one: HostProcess
    let two: HostProcess

    beforeAll(async () => {
      await store.start()
      ;[one, two] = await Promise.all([HostProcess.start(store), HostProcess.start(store)])
    })
    afterAll(async () => {
      await Promise.all([one.end(), two.end()])
      await store.stop()
    })

    test.each([false, true])(
      'an eviction in one ends a refresh in flight in the other (signed in again meanwhile: %s)',
      async (again) => {
        const uid = `user of ${store.name} ${again}`
        const { homeAccountId } = (await one.ask({ do: 'sign in', uid })) as HostSession
        await one.ask({ do: 'begin refresh', homeAccountId })
        expect(await two.ask({ do: 'is signed in', homeAccountId })).toBe(true)
        expect(await two.ask({ do: 'evict', homeAccountId })).toMatchObject({ existed: true })
        if (again) await two.ask({ do: 'sign in', uid })
        await one.ask({ do: 'finish refresh' })

        for (const process of [one, two]) {
          expect(await process.ask({ do: 'is signed in', homeAccountId })).toBe(again)
        }
      },
    )
  })
}
