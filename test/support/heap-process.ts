// A server of an application that signs people in, gets tokens of the cache and refreshes them, and then writes what is in
// its memory to a file. The provider, which has all tokens, is in the process that started it. Started by
// test/heap.test.ts, with --expose-gc and without a limit to the texts in the snapshot.
import { setTimeout } from 'node:timers/promises'
import { writeHeapSnapshot } from 'node:v8'
import { ConfidentialClientApplication } from '@azure/msal-node'
import type { EncryptionKey } from '../../src/index.ts'
import { acquireSilently, EntraStandIn, SCOPES } from './entra.ts'
import { openStore, type StoreAddress } from './open-store.ts'

import { answerParent, provider, settingsOfParent } from './parent.ts'
import { redeem } from './redeem.ts'

export interface HeapProcessSettings {
  /** The module's URL. */
  readonly library: string
  readonly address: StoreAddress
  readonly encryptionKeys?: EncryptionKey[]
  readonly rememberedAnswers?: false
  readonly snapshot: string
}

/** What it is asked first; then it is asked for the snapshot. */
export interface HeapProcessWork {
  /** Of each who signs in. */
  readonly codes: readonly string[]
  /** The token that a caller of its API presents. */
  readonly assertion: string
  /** Of a process that goes on after the caller has gone. */
  readonly sessionKey: string
}

const { library, address, snapshot, ...options } = settingsOfParent<HeapProcessSettings>()
const { ConfidentialClients } = (await import(library)) as typeof import('../../src/index.ts')

const { auth } = new EntraStandIn().configuration()
const configuration = { auth, system: { networkClient: provider } }
const msal = new ConfidentialClients(configuration, { ...options, store: await openStore(address) })

async function serve(code: string): Promise<void> {
  const session = await redeem(msal, { code })
  const { homeAccountId } = session
  const cachePlugin = msal.plugin.forAccount(session)
  const bound = new ConfidentialClientApplication({ ...configuration, cache: { cachePlugin } })
  await acquireSilently(bound, homeAccountId, { forceRefresh: true })
  await msal.acquireTokenSilent(session, { scopes: SCOPES, forceRefresh: true })
  await msal.acquireTokenSilent(session, { scopes: SCOPES })
}

async function work({ codes, assertion, sessionKey }: HeapProcessWork): Promise<void> {
  for (const code of codes) await serve(code)
  for (const _ of ['from the provider', 'from the cache', 'remembered']) {
    await msal.acquireTokenOnBehalfOf({ oboAssertion: assertion, scopes: SCOPES })
  }
  await msal.acquireTokenInLongRunningProcess(sessionKey, { oboAssertion: assertion, scopes: SCOPES })
  for (const _ of ['from the cache', 'remembered']) {
    await msal.acquireTokenInLongRunningProcess(sessionKey, { scopes: SCOPES })
  }
}

async function write(): Promise<void> {
  // The driver of the store lets go of what it read last.
  await setTimeout(200)
  for (let n = 0; n < 4; n++) globalThis.gc?.()
  writeHeapSnapshot(snapshot)
}

answerParent<HeapProcessWork | 'snapshot'>((request) => (request === 'snapshot' ? write() : work(request)))
