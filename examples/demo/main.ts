import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startApp } from './app.ts'
import { startProvider } from './provider.ts'
import { openStore } from './store.ts'

const { PORT = '0', DEMO_DB: file = temporaryFile() } = process.env

const store = openStore(file)
const provider = await startProvider()
const app = await startApp({ store, provider, port: Number(PORT) })

console.log(`
  msal-keyv demo     ${app.url}

  OpenID provider    ${provider.origin}, known to MSAL as ${provider.issuer}
  SQLite store       ${file}

  Ctrl+C stops it.
`)

process.once('SIGINT', stop).once('SIGTERM', stop)

async function stop(): Promise<void> {
  await Promise.all([app.close(), provider.close()])
  await store.disconnect()
}

function temporaryFile(): string {
  const directory = mkdtempSync(join(tmpdir(), 'msal-keyv-demo-'))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'tokens.sqlite')
}
