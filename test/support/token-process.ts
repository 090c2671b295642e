// One server of an application whose records are sealed: answers with tokens. Started by test/records/rotation.test.ts.
import { ConfidentialClients, type EncryptionKey } from '../../src/index.ts'
import { EntraStandIn } from './entra.ts'
import { closeStore, openStore, type StoreAddress } from './open-store.ts'
import { answerParent, provider, settingsOfParent } from './parent.ts'
import { answer, type TokenRequest } from './token-answer.ts'

export interface TokenProcessSettings {
  readonly address: StoreAddress
  readonly encryptionKeys?: EncryptionKey[]
  readonly allowPlaintext?: boolean
}

const { address, ...options } = settingsOfParent<TokenProcessSettings>()
const store = await openStore(address)
const { auth } = new EntraStandIn().configuration()
const msal = new ConfidentialClients({ auth, system: { networkClient: provider } }, { ...options, store })

answerParent<TokenRequest>(
  (request) => answer(msal, request),
  () => closeStore(store),
)
