// A server of an application that gets tokens of the cache only, and then writes what is in its memory to a file. Started
// by test/heap.test.ts, with --expose-gc and without a limit to the texts in the snapshot.
import { setTimeout } from 'node:timers/promises'
import { writeHeapSnapshot } from 'node:v8'
import type { EncryptionKey, HostSession } from '../../src/index.ts'
import { acquireSilently, EntraStandIn, SCOPES } from './entra.ts'
import { openStore, type StoreAddress } from './open-store.ts'

export interface HeapProcessSettings {
  /** The module's URL. */
  readonly library: string
  readonly address: StoreAddress
  readonly encryptionKeys?: EncryptionKey[]
  readonly rememberedAnswers?: false
  readonly sessions: readonly HostSession[]
  readonly snapshot: string
}

const { library, address, sessions, snapshot, ...options } = JSON.parse(
  process.argv[2] ?? '',
) as HeapProcessSettings
const { ConfidentialClients } = (await import(library)) as typeof import('../../src/index.ts')
const entra = new EntraStandIn()
const msal = new ConfidentialClients(entra.configuration(), { ...options, store: await openStore(address) })

for (const session of sessions) {
  await msal.acquireTokenSilent(session, { scopes: SCOPES })
  await acquireSilently(entra.client(msal.plugin.forAccount(session)), session.homeAccountId)
}
// The driver of the store lets go of what it read last.
await setTimeout(200)
for (let n = 0; n < 4; n++) globalThis.gc?.()
writeHeapSnapshot(snapshot)
process.exit()
