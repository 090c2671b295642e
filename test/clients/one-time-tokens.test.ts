// Two processes on one Redis refresh with one refresh token that works once, so many milliseconds after one another (P17).
// Short: 3 races each; `LONG=1`: 200 each, which takes about ten minutes.
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { KeyvCachePlugin } from '../../src/index.ts'
import { redis } from '../contract/stores/redis.ts'
import { Child } from '../support/child.ts'
import { CLIENT_ID, EntraStandIn } from '../support/entra.ts'
import { length } from '../support/length.ts'
import { closeStore, openStore } from '../support/open-store.ts'
import { missingProgram } from '../support/programs.ts'
import type { TokenAnswer, TokenRequest } from '../support/token-answer.ts'

const RACES = length({ short: 3, long: 200 })

describe.skipIf(missingProgram(...redis.programs))('two processes, one token that works once', () => {
  const entra = new EntraStandIn({ size: 'small' })
  const used = new Set<string>()
  const processes: Child<TokenRequest, TokenAnswer>[] = []
  let homeAccountId = ''

  beforeAll(async () => {
    entra.answers.refresh_token = ({ parameters }) => {
      const token = parameters.get('refresh_token') ?? ''
      if (used.has(token)) return { error: 'invalid_grant' }
      used.add(token)
      return {}
    }
    await redis.start()
    const address = redis.address()
    if (address === undefined) throw new Error('no server')
    const store = await openStore(address)
    const user = entra.user()
    await entra.signIn(entra.client(new KeyvCachePlugin({ store, clientId: CLIENT_ID })), user)
    await closeStore(store)
    homeAccountId = user.homeAccountId
    const script = new URL('../support/token-process.ts', import.meta.url)
    for (let n = 0; n < 2; n++) {
      processes.push(await Child.start(script, { address }, { provider: entra }))
    }
  })
  afterAll(async () => {
    await Promise.all(processes.map((each) => each.end()))
    await redis.stop()
  })

  test.each([0, 1, 2, 5, 10, 20])(
    `%i ms apart, ${RACES} times: everybody gets a token, and the good one is kept`,
    { timeout: 600_000 },
    async (apart) => {
      for (let race = 0; race < RACES; race++) {
        const answers = processes.map(async (process, n) => {
          await delay(n * apart)
          return process.ask({ homeAccountId, forceRefresh: true })
        })
        expect((await Promise.all(answers)).map(({ kind }) => kind)).toEqual(['token', 'token'])
      }
    },
  )
})
