import type { INetworkModule, NetworkRequestOptions, NetworkResponse } from '@azure/msal-node'
import type { ToChild, ToParent } from './child.ts'

// For the script of a `Child`.

type Provided = (response: NetworkResponse<unknown>) => void

/** By request, until it is answered: a test looks for tokens in the memory of a child. */
const asked = new Map<number, Provided>()
let requests = 0

export function settingsOfParent<Settings>(): Settings {
  return JSON.parse(process.argv[2] ?? '') as Settings
}

/** The provider, which is in the process that has started this one. */
export const provider: INetworkModule = {
  sendGetRequestAsync: () => Promise.reject(new Error('MSAL Node asked for metadata')),
  sendPostRequestAsync: <T>(url: string, { body = '' }: NetworkRequestOptions = {}) =>
    new Promise<NetworkResponse<T>>((resolve) => {
      const id = requests++
      asked.set(id, resolve as Provided)
      send({ kind: 'provider', id, url, body })
    }),
}

/** Says that this process is ready, and answers what the other asks until it says that this is the end. */
export function answerParent<Request>(
  answer: (request: Request) => Promise<unknown>,
  end?: () => Promise<unknown>,
): void {
  process.on('message', async (message: ToChild<Request>) => {
    if (message.kind === 'end') {
      await end?.()
      process.exit()
    } else if (message.kind === 'provided') {
      asked.get(message.id)?.(message.response)
      asked.delete(message.id)
    } else {
      const { id, request } = message
      await answer(request).then(
        (it) => send({ kind: 'answer', id, answer: it }),
        (error: Error) => send({ kind: 'failure', id, message: `${error.stack}` }),
      )
    }
  })
  send({ kind: 'ready' })
}

function send(message: ToParent<unknown>): void {
  process.send?.(message)
}
