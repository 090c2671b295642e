// One process of a host: signs users in, refreshes, evicts, and says so. Started by test/processes.test.ts.
import { KeyvCachePlugin } from '../../src/index.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn, type Held } from './entra.ts'
import { openStore, type StoreAddress } from './open-store.ts'
import { answerParent, settingsOfParent } from './parent.ts'
import { isStored } from './stored.ts'

export type Command =
  | { do: 'begin refresh'; homeAccountId: string }
  | { do: 'finish refresh' }
  | { do: 'evict'; homeAccountId: string }
  | { do: 'sign in'; uid: string }
  | { do: 'is signed in'; homeAccountId: string }

const keyv = await openStore(settingsOfParent<StoreAddress>())
const entra = new EntraStandIn()
const plugin = new KeyvCachePlugin({ store: keyv, clientId: CLIENT_ID })
let refresh: { held: Held; done: Promise<unknown> } | undefined

async function perform(command: Command): Promise<unknown> {
  switch (command.do) {
    case 'sign in': {
      const user = entra.user({ uid: command.uid })
      return plugin.openSession(await entra.signIn(entra.client(plugin), user))
    }
    case 'begin refresh': {
      const held = entra.hold(({ grant }) => grant === 'refresh_token')
      const client = entra.client(plugin.forAccount({ homeAccountId: command.homeAccountId }))
      refresh = { held, done: acquireSilently(client, command.homeAccountId, { forceRefresh: true }) }
      await held.arrived
      return true
    }
    case 'finish refresh':
      refresh?.held.release()
      return refresh?.done.then(() => true)
    case 'evict':
      return plugin.evictAccount(command.homeAccountId)
    case 'is signed in':
      return isStored(plugin, command.homeAccountId)
  }
}

answerParent(perform, () => keyv.disconnect())
