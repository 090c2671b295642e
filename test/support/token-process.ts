// One server of an application whose records are sealed: answers with tokens, of one provider that is in the process
// that started it. Started by `TokenProcess`.
import {
  type INetworkModule,
  type NetworkRequestOptions,
  type NetworkResponse,
  version,
} from '@azure/msal-node'
import { ConfidentialClients, type EncryptionKey } from '../../src/index.ts'
import { EntraStandIn } from './entra.ts'
import { closeStore, openStore, type StoreAddress } from './open-store.ts'
import { answer, type TokenAnswer, type TokenRequest } from './token-answer.ts'

export interface TokenProcessSettings {
  readonly address: StoreAddress
  readonly encryptionKeys?: EncryptionKey[]
  readonly allowPlaintext?: boolean
}

export type TokenProcessMessage =
  | { readonly kind: 'ready' }
  | TokenAnswer
  | { readonly kind: 'provider'; readonly id: number; readonly url: string; readonly body: string }

export type TokenProcessCommand =
  | ({ readonly kind: 'request' } & TokenRequest)
  | { readonly kind: 'provided'; readonly id: number; readonly response: NetworkResponse<unknown> }
  | { readonly kind: 'end' }

const settings = JSON.parse(process.argv[2] ?? '') as TokenProcessSettings
const { address, ...options } = settings
const asked = new Map<number, (response: NetworkResponse<unknown>) => void>()

function send(message: TokenProcessMessage): void {
  process.send?.(message)
}

const provider: INetworkModule = {
  sendGetRequestAsync: () => Promise.reject(new Error(`MSAL Node ${version} asked for metadata`)),
  sendPostRequestAsync: <T>(url: string, { body = '' }: NetworkRequestOptions = {}) =>
    new Promise<NetworkResponse<T>>((resolve) => {
      const id = asked.size
      asked.set(id, resolve as (response: NetworkResponse<unknown>) => void)
      send({ kind: 'provider', id, url, body })
    }),
}

const store = await openStore(address)
const { auth } = new EntraStandIn().configuration()
const msal = new ConfidentialClients({ auth, system: { networkClient: provider } }, { ...options, store })

process.on('message', async (command: TokenProcessCommand) => {
  if (command.kind === 'request') return send(await answer(msal, command))
  if (command.kind === 'provided') return asked.get(command.id)?.(command.response)
  await closeStore(store)
  process.disconnect?.()
})
send({ kind: 'ready' })
