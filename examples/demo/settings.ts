import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EntraSettings } from './entra.ts'

export interface Settings {
  /** 0 takes a free port. */
  readonly port: number
  readonly store:
    | { readonly kind: 'sqlite'; readonly file: string }
    | { readonly kind: 'redis'; readonly url: string }
  /** Undefined for the provider on this machine. */
  readonly entra: EntraSettings | undefined
}

/** @throws {Error} naming the variable that is missing or wrong */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const entra = readEntra(env)
  // With Entra ID the redirect URI is registered, so it stays the same.
  const { PORT = entra ? '3000' : '0', REDIS_URL, DEMO_DB } = env
  const port = Number(PORT)
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new Error('PORT must be the number of a port')
  return {
    port,
    store: REDIS_URL
      ? { kind: 'redis', url: REDIS_URL }
      : { kind: 'sqlite', file: DEMO_DB || temporaryFile() },
    entra,
  }
}

function readEntra(env: NodeJS.ProcessEnv): EntraSettings | undefined {
  const names = ['ENTRA_CLIENT_ID', 'ENTRA_CLIENT_SECRET', 'ENTRA_TENANT_ID'] as const
  const missing = names.filter((name) => !env[name])
  if (missing.length === names.length) return undefined
  if (missing.length > 0) throw new Error(`${missing.join(' and ')} must be set too, for an Entra ID tenant`)
  const [clientId = '', clientSecret = '', tenantId = ''] = names.map((name) => env[name])
  return { clientId, clientSecret, tenantId }
}

/** Deleted when the process ends. */
function temporaryFile(): string {
  const directory = mkdtempSync(join(tmpdir(), 'msal-keyv-demo-'))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'tokens.sqlite')
}
