import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import Keyv from 'keyv'
import { expect, test } from 'vitest'
import { KeyvCachePlugin } from '../src/index.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn } from './support/entra.ts'
import { mutant } from './support/mutant.ts'

const ACCOUNTS = 20_000
const MEGABYTE = 1024 * 1024

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function heap(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

test('requests for 20,000 accounts through one plugin leave less than 5 MB (P12)', async () => {
  const entra = new EntraStandIn({ size: 'small' })
  const plugin = new KeyvCachePlugin({ store: new Keyv(), clientId: CLIENT_ID })
  const shared = entra.client(plugin)
  const ids: string[] = []
  for (let i = 0; i < ACCOUNTS; i++) {
    const user = entra.user()
    ids.push(user.homeAccountId)
    await entra.signIn(shared, user)
  }
  const use = async (id: string) => {
    const bound = await acquireSilently(entra.client(plugin.forAccount(id)), id)
    const scoped = await plugin.runAs(id, () => acquireSilently(shared, id))
    expect(bound.accessToken).toBe(scoped.accessToken)
  }
  for (const id of ids.slice(0, 500)) await use(id)
  const before = heap()
  for (const id of ids) await use(id)
  expect(heap() - before).toBeLessThan(5 * MEGABYTE)
}, 120_000)

test("MSAL's live store holds no credential after a sign-in was stored, nor after a runAs scope ended (P12)", async () => {
  const { afterSignIn, afterScope } = await credentialsLeft(KeyvCachePlugin)
  expect(afterSignIn).toEqual([])
  expect(afterScope).toEqual([])
})

test('with what a sign-in or a scope leaves not removed, it is found there', async () => {
  const signIn = await mutant('msal/sign-in-plugin.ts', 'memory.forgetAcquired()', '')
  expect((await credentialsLeft(signIn.KeyvCachePlugin)).afterSignIn).not.toEqual([])
  const scope = await mutant('plugin.ts', 'await scope.end()', '')
  expect((await credentialsLeft(scope.KeyvCachePlugin)).afterScope).not.toEqual([])
})

test('a scope that ends while one of its calls is running leaves nothing, and evicts nobody (P12)', async () => {
  const entra = new EntraStandIn({ size: 'small' })
  const plugin = new KeyvCachePlugin({ store: new Keyv(), clientId: CLIENT_ID })
  const client = entra.client(plugin)
  let evicted = 0
  let left = 0
  for (let round = 0; round < 120; round++) {
    const user = entra.user()
    await entra.signIn(entra.client(plugin), user)
    entra.answers.refresh_token = ({ parameters }) =>
      parameters.get('scope')?.includes('refused') ? { error: 'consent_required' } : {}
    const ask = async (scope: string, microtasks: number) => {
      for (let i = 0; i < microtasks; i++) await undefined
      return acquireSilently(client, user.homeAccountId, { scopes: [scope], forceRefresh: true })
    }
    const running: Promise<unknown>[] = []
    await plugin
      .runAs(user, () => {
        running.push(ask('granted', round % 40), ask('refused', (round * 7) % 23))
        return Promise.all(running)
      })
      .catch(() => {})
    await Promise.allSettled(running)
    if (!(await plugin.isSignedIn(user))) evicted++
    left += entra.tokensIn(JSON.stringify(client.getTokenCache().getKVStore())).length
  }
  expect({ evicted, left }).toEqual({ evicted: 0, left: 0 })
})

async function credentialsLeft(Plugin: typeof KeyvCachePlugin) {
  const entra = new EntraStandIn({ size: 'small' })
  const plugin = new Plugin({ store: new Keyv(), clientId: CLIENT_ID })
  const client = entra.client(plugin)
  const user = entra.user()
  const left = () => entra.tokensIn(JSON.stringify(client.getTokenCache().getKVStore()))
  await entra.signIn(client, user)
  const afterSignIn = left()
  await plugin.runAs(user, async () => {
    await acquireSilently(client, user.homeAccountId, { forceRefresh: true })
    await plugin.runAs(user, () => acquireSilently(client, user.homeAccountId))
    expect(left()).not.toEqual([])
  })
  return { afterSignIn, afterScope: left() }
}
