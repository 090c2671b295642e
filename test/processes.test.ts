import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { HostSession } from '../src/index.ts'
import type { ContractStore } from './contract/contract-store.ts'
import { redis } from './contract/stores/redis.ts'
import { sqlite } from './contract/stores/sqlite.ts'
import { Child } from './support/child.ts'
import type { Command } from './support/host-process.ts'
import { missingProgram } from './support/programs.ts'

type HostProcess = Child<Command, unknown>

function startHost(store: ContractStore): Promise<HostProcess> {
  return Child.start(new URL('./support/host-process.ts', import.meta.url), { ...store.address() })
}

for (const store of [redis, sqlite]) {
  describe.skipIf(missingProgram(...store.programs))(`two processes on one ${store.name}`, () => {
    let one: HostProcess
    let two: HostProcess

    beforeAll(async () => {
      await store.start()
      ;[one, two] = await Promise.all([startHost(store), startHost(store)])
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
