// A server of an application that signs people in, gets tokens of the cache and refreshes them, and then writes what is in
// its memory to a file. The provider, which has all tokens, is in the process that started it. Started by
// test/heap.test.ts, with --expose-gc and without a limit to the texts in the snapshot.
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { writeHeapSnapshot } from 'node:v8'
import type { INetworkModule, NetworkRequestOptions, NetworkResponse } from '@azure/msal-node'
import { ConfidentialClientApplication } from '@azure/msal-node'
import type { EncryptionKey } from '../../src/index.ts'
import { acquireSilently, EntraStandIn, SCOPES } from './entra.ts'
import { openStore, type StoreAddress } from './open-store.ts'

export interface HeapProcessSettings {
  /** The module's URL. */
  readonly library: string
  readonly address: StoreAddress
  readonly encryptionKeys?: EncryptionKey[]
  readonly rememberedAnswers?: false
  readonly snapshot: string
}

/** What it is sent first. */
export interface HeapProcessWork {
  /** Of each who signs in. */
  readonly codes: readonly string[]
  /** The token that a caller of its API presents. */
  readonly assertion: string
  /** Of a process that goes on after the caller has gone. */
  readonly sessionKey: string
}

/** What it asks the provider, one request at a time; it is sent the response. */
export interface ProviderRequest {
  readonly url: string
  readonly body: string
}

const { library, address, snapshot, ...options } = JSON.parse(process.argv[2] ?? '') as HeapProcessSettings
const { ConfidentialClients } = (await import(library)) as typeof import('../../src/index.ts')

const networkClient: INetworkModule = {
  sendGetRequestAsync: () => Promise.reject(new Error('MSAL Node asked for metadata')),
  async sendPostRequestAsync<T>(url: string, { body = '' }: NetworkRequestOptions = {}) {
    process.send?.({ url, body } satisfies ProviderRequest)
    const [response] = await once(process, 'message')
    return response as NetworkResponse<T>
  },
}
const { auth } = new EntraStandIn().configuration()
const configuration = { auth, system: { networkClient } }
const msal = new ConfidentialClients(configuration, { ...options, store: await openStore(address) })

async function serve(code: string): Promise<void> {
  const { session } = await msal.acquireTokenByCode({
    scopes: SCOPES,
    redirectUri: 'https://app.example',
    code,
  })
  const { homeAccountId } = session
  const cachePlugin = msal.plugin.forAccount(session)
  const bound = new ConfidentialClientApplication({ ...configuration, cache: { cachePlugin } })
  await acquireSilently(bound, homeAccountId, { forceRefresh: true })
  await msal.acquireTokenSilent(session, { scopes: SCOPES, forceRefresh: true })
  await msal.acquireTokenSilent(session, { scopes: SCOPES })
}

/** A function, so that nothing of it is left on the stack. */
async function work(): Promise<void> {
  const [{ codes, assertion, sessionKey }] = (await once(process, 'message')) as [HeapProcessWork]
  for (const code of codes) await serve(code)
  for (const _ of ['from the provider', 'from the cache', 'remembered']) {
    await msal.acquireTokenOnBehalfOf({ oboAssertion: assertion, scopes: SCOPES })
  }
  await msal.acquireTokenInLongRunningProcess(sessionKey, { oboAssertion: assertion, scopes: SCOPES })
  for (const _ of ['from the cache', 'remembered']) {
    await msal.acquireTokenInLongRunningProcess(sessionKey, { scopes: SCOPES })
  }
}

await work()
// The driver of the store lets go of what it read last.
await setTimeout(200)
for (let n = 0; n < 4; n++) globalThis.gc?.()
writeHeapSnapshot(snapshot)
process.exit()
