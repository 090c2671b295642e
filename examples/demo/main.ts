import type { Keyv } from 'keyv'
import type { LogoutOutcome } from '../../src/index.ts'
import { type RunningApp, startApp } from './app.ts'
import { type EntraSettings, entraTenant } from './entra.ts'
import { startProvider } from './provider.ts'
import { readSettings, type Settings } from './settings.ts'
import { openRedisStore, openStore } from './store.ts'
import { startStory } from './story/story.ts'
import { Timeline } from './timeline.ts'

const { port, store: storeSettings, entra } = settingsOrExit()
const timeline = new Timeline()
/** What to close at the end, in this order. */
const closing: (() => Promise<unknown>)[] = []

const isRedis = storeSettings.kind === 'redis'
const storeName = isRedis ? 'Redis' : 'SQLite'
const app = await (entra ? startWithEntra(entra) : startLocally())

console.log(`
  msal-keyv demo   ${app.url}

  Store            ${isRedis ? 'Redis, at REDIS_URL' : `SQLite, ${storeSettings.file}`}
  Ctrl+C stops it.
`)

process.once('SIGINT', stop).once('SIGTERM', stop)

/** With a provider on this machine, another app of it, and the comparison. */
async function startLocally(): Promise<RunningApp> {
  const provider = await startProvider()
  const store = await open('tokens')
  const other = await startApp({
    store,
    provider,
    clientId: 'other-app',
    timeline,
    onLogout: log('other app'),
    about: { store: storeName, provider: provider.name },
  })
  const stores = { stock: await open('story_stock'), keyv: await open('story_keyv') }
  const story = await startStory({ provider, stores, timeline })
  const demo = await startApp({
    store,
    provider,
    port,
    timeline,
    story,
    onLogout: log('demo app'),
    about: { store: storeName, provider: provider.name, otherUrl: other.url },
  })
  closing.unshift(demo.close, other.close, story.close, provider.close)
  return demo
}

/** With somebody's tenant: one app, as it is registered there. */
async function startWithEntra(tenant: EntraSettings): Promise<RunningApp> {
  const provider = entraTenant(tenant)
  const demo = await startApp({
    store: await open('tokens'),
    provider,
    clientId: tenant.clientId,
    // The one host that Entra ID accepts in a redirect URI without TLS.
    host: 'localhost',
    port,
    timeline,
    story: 'unavailable',
    onLogout: log('demo app'),
    about: { store: storeName, provider: provider.name },
  })
  closing.unshift(demo.close)
  return demo
}

async function open(name: string): Promise<Keyv> {
  const store = isRedis ? await openRedisStore(storeSettings.url, name) : openStore(storeSettings.file, name)
  closing.push(() => store.disconnect())
  return store
}

async function stop(): Promise<void> {
  for (const close of closing) await close()
}

/** Account ids are personal data, and have no place in a log. */
function log(name: string): (outcome: LogoutOutcome) => void {
  return ({ callback, result, error }) => {
    console.log(`  ${name}: ${callback?.kind ?? 'bad'} logout, ${error?.message ?? result}`)
  }
}

function settingsOrExit(): Settings {
  try {
    return readSettings(process.env)
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exit(1)
  }
}
