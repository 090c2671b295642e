import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import Keyv from 'keyv'
import { expect, test } from 'vitest'
import { ConfidentialClients, KeyvCachePlugin } from '../src/index.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn, SCOPES } from './support/entra.ts'
import { length } from './support/length.ts'
import { mutant } from './support/mutant.ts'

const ACCOUNTS = length({ short: 500, long: 20_000 })
/** What an account may leave in the process, in bytes: less than a token. The fewer accounts, the more noise. */
const BYTES = length({ short: 1000, long: 250 })

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function heap(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

/** How many bytes of the heap each account leaves that was signed in and used. */
async function bytesLeft(Plugin: typeof KeyvCachePlugin, Clients: typeof ConfidentialClients) {
  const entra = new EntraStandIn({ size: 'small' })
  const plugin = new Plugin({ store: new Keyv(), clientId: CLIENT_ID })
  // The answers that it remembers are bounded: see remembered-answers.test.ts.
  const msal = new Clients(entra.configuration(), { plugin, rememberedAnswers: false })
  const shared = entra.client(plugin)
  const ids: string[] = []
  for (let i = 0; i < ACCOUNTS + 200; i++) {
    const user = entra.user()
    ids.push(user.homeAccountId)
    await entra.signIn(shared, user)
  }
  const use = async (id: string) => {
    const bound = await acquireSilently(entra.client(plugin.forAccount({ homeAccountId: id })), id)
    const { accessToken } = await msal.acquireTokenSilent({ homeAccountId: id }, { scopes: SCOPES })
    expect(accessToken).toBe(bound.accessToken)
  }
  for (const id of ids.splice(0, 200)) await use(id)
  const before = heap()
  for (const id of ids) await use(id)
  return (heap() - before) / ids.length
}

test(`what ${ACCOUNTS} accounts leave in the process is nothing (P12)`, async () => {
  expect(await bytesLeft(KeyvCachePlugin, ConfidentialClients)).toBeLessThan(BYTES)
}, 120_000)

test('with what concurrent calls share never forgotten, it is more', async () => {
  const broken = await mutant('shared calls never forgotten')
  expect(await bytesLeft(broken.KeyvCachePlugin, broken.ConfidentialClients)).toBeGreaterThan(BYTES)
}, 120_000)

const MEGABYTE = 1024 * 1024

/** What the answers take of the heap that a process remembers with a bound of 2 MiB. */
async function bytesRemembered(Clients: typeof ConfidentialClients): Promise<number> {
  const entra = new EntraStandIn()
  const store = new Keyv()
  const msal = new Clients(entra.configuration(), { store, rememberedAnswers: { bytes: 2 * MEGABYTE } })
  const shared = entra.client(new KeyvCachePlugin({ store, clientId: CLIENT_ID }))
  const ids: string[] = []
  for (let i = 0; i < 600; i++) {
    const user = entra.user()
    ids.push(user.homeAccountId)
    await entra.signIn(shared, user)
  }
  const [first = '', ...others] = ids
  await msal.acquireTokenSilent({ homeAccountId: first }, { scopes: SCOPES })
  const before = heap()
  for (const id of others) await msal.acquireTokenSilent({ homeAccountId: id }, { scopes: SCOPES })
  const after = heap()
  // Used once more, so that it is not collected before.
  await msal.acquireTokenSilent({ homeAccountId: first }, { scopes: SCOPES })
  return after - before
}

test('remembered answers take what they are bounded by: no record with its refresh token (P9)', async () => {
  const bytes = await bytesRemembered(ConfidentialClients)
  expect(bytes).toBeGreaterThan(1.5 * MEGABYTE)
  expect(bytes).toBeLessThan(2.5 * MEGABYTE)
})

test("MSAL's memory holds nothing of a sign-in that was stored (P12)", async () => {
  expect(await tokensInMemory(KeyvCachePlugin)).toEqual([])
  const broken = await mutant('memory keeps what was acquired')
  expect(await tokensInMemory(broken.KeyvCachePlugin)).not.toEqual([])
})

async function tokensInMemory(Plugin: typeof KeyvCachePlugin) {
  const entra = new EntraStandIn({ size: 'small' })
  const client = entra.client(new Plugin({ store: new Keyv(), clientId: CLIENT_ID }))
  await entra.signIn(client, entra.user())
  return entra.tokensIn(JSON.stringify(client.getTokenCache().getKVStore()))
}
