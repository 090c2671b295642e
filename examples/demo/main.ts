import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LogoutOutcome } from '../../src/index.ts'
import { startApp } from './app.ts'
import { startProvider } from './provider.ts'
import { openStore } from './store.ts'

const { PORT = '0', DEMO_DB: file = temporaryFile() } = process.env

const store = openStore(file)
const provider = await startProvider()
const app = await startApp({ store, provider, port: Number(PORT), onLogout: log('demo app') })
const other = await startApp({ store, provider, clientId: 'other-app', onLogout: log('other app') })

console.log(`
  msal-keyv demo     ${app.url}
  the other app      ${other.url}, to be signed in to and out of as well

  OpenID provider    ${provider.origin}, known to MSAL as ${provider.issuer}
  SQLite store       ${file}

  Ctrl+C stops it.
`)

process.once('SIGINT', stop).once('SIGTERM', stop)

async function stop(): Promise<void> {
  await Promise.all([app.close(), other.close(), provider.close()])
  await store.disconnect()
}

/** Account ids are personal data, and have no place in a log. */
function log(app: string): (outcome: LogoutOutcome) => void {
  return ({ callback, result, error }) => {
    console.log(`  ${app}: ${callback?.kind ?? 'bad'} logout, ${error?.message ?? result}`)
  }
}

function temporaryFile(): string {
  const directory = mkdtempSync(join(tmpdir(), 'msal-keyv-demo-'))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'tokens.sqlite')
}
