// One server of an application, old or new. Its provider is in the process that started it. Started by `Server`.
import type { INetworkModule, NetworkRequestOptions, NetworkResponse } from '@azure/msal-node'
import { EntraStandIn } from '../support/entra.ts'
import type { App, FromServer, Request, Settings, ToServer } from './messages.ts'
import { oldServer } from './old-servers.ts'
import { connectTo } from './sessions.ts'

const settings = JSON.parse(process.argv[2] ?? '') as Settings
const asked = new Map<number, (response: NetworkResponse<unknown>) => void>()

function send(message: FromServer): void {
  process.send?.(message)
}

const provider: INetworkModule = {
  sendGetRequestAsync: () => Promise.reject(new Error('MSAL Node asked for metadata')),
  sendPostRequestAsync: <T>(url: string, { body = '' }: NetworkRequestOptions = {}) =>
    new Promise<NetworkResponse<T>>((resolve) => {
      const id = asked.size
      asked.set(id, resolve as (response: NetworkResponse<unknown>) => void)
      send({ kind: 'provider', id, url, body })
    }),
}

const redis = await connectTo(settings.redisUrl)
const { auth } = new EntraStandIn().configuration()
const parts = { configuration: { auth, system: { networkClient: provider } }, redis, settings }
// An old server does not have the library.
const app: App = settings.kind.endsWith('before')
  ? await oldServer(parts)
  : await (await import('./new-servers.ts')).newServer(parts)

async function answer(request: Request): Promise<string | undefined> {
  switch (request.do) {
    case 'sign in':
      await app.signIn(request.session, request.code)
      return undefined
    case 'token':
      return app.token(request.session, request.forceRefresh)
    case 'sign out':
      await app.signOut(request.session)
      return undefined
    case 'import':
      await app.import?.()
      return undefined
    case 'export':
      await app.export?.(request.sessions)
      return undefined
  }
}

process.on('message', async (message: ToServer) => {
  if (message.kind === 'end') return process.exit(0)
  if (message.kind === 'provided') return asked.get(message.id)?.(message.response)
  const { id } = message
  try {
    const token = await answer(message.request)
    send({ kind: 'answer', id, ...(token === undefined ? {} : { token }) })
  } catch (error) {
    send({ kind: 'failure', id, message: String((error as Error).stack) })
  }
})
send({ kind: 'ready' })
