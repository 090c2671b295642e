// One server of an application, old or new. Its provider is in the process that started it. Started by `Server`.
import { EntraStandIn } from '../support/entra.ts'
import { answerParent, provider, settingsOfParent } from '../support/parent.ts'
import type { App, Request, Settings } from './messages.ts'
import { oldServer } from './old-servers.ts'
import { connectTo } from './sessions.ts'

const settings = settingsOfParent<Settings>()
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

answerParent(answer)
