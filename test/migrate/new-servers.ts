import KeyvRedis from '@keyv/redis'
import { Keyv } from 'keyv'
import type { HostSession } from '../../src/index.ts'
import { SCOPES } from '../support/entra.ts'
import { runModule } from '../support/run-module.ts'
import { AuthProvider } from './auth-provider-after.ts'
import type { App } from './messages.ts'
import { type Parts, redirectUri, tokenOrNothing } from './old-servers.ts'
import { type Session, Sessions } from './sessions.ts'

type Account = NonNullable<Session['account']>

/** How a session moves in, and what else a server does while old servers run. */
interface Moving {
  moveIn(session: Session): Promise<HostSession | undefined>
  afterSignIn?(session: HostSession): Promise<void>
  afterEviction?(homeAccountId: string): Promise<unknown>
  import?(): Promise<void>
}

interface Records {
  write(homeAccountId: string, serialized: string): Promise<unknown>
  delete(homeAccountId: string): Promise<unknown>
}

/** A server that runs the samples of docs/migrate.md. */
export async function newServer(parts: Parts): Promise<App> {
  const { configuration, redis, settings } = parts
  const store = new Keyv(new KeyvRedis(settings.redisUrl), { namespace: '', useKeyPrefix: false })
  const provider = new AuthProvider(configuration, store)
  const { plugin } = provider.msal
  Object.assign(globalThis, { plugin, configuration, scopes: SCOPES })
  const sessions = new Sessions(redis)
  const moving = await samplesOf(parts)

  async function sessionOf(name: string): Promise<HostSession | undefined> {
    const session = await sessions.get(name)
    const account = await moving.moveIn(session)
    if (account === undefined) await sessions.destroy(name)
    else await sessions.set(name, { ...session, account })
    return account
  }

  return {
    async signIn(name, code) {
      const session = await provider.getTokenInteractive({ code, scopes: SCOPES, redirectUri })
      await moving.afterSignIn?.(session)
      await sessions.set(name, { account: session })
    },
    async token(name, forceRefresh) {
      const session = await sessionOf(name)
      if (session === undefined) return undefined
      return tokenOrNothing(provider.getTokenSilent({ scopes: SCOPES, forceRefresh }, session))
    },
    async signOut(name) {
      const session = await sessionOf(name)
      if (session !== undefined) {
        await plugin.evictAccount(session.homeAccountId)
        await moving.afterEviction?.(session.homeAccountId)
      }
      await sessions.destroy(name)
    },
    async import() {
      await moving.import?.()
    },
    async export(names) {
      const { exportBlob } = await runModule<{ exportBlob(of: HostSession[]): Promise<string> }>(
        settings.samples.back,
      )
      const accounts = await Promise.all(names.map(async (name) => (await sessions.get(name)).account))
      await redis.set('msal-cache', await exportBlob(accounts.filter(isOurs)))
    },
  }
}

async function samplesOf({ settings }: Parts): Promise<Moving> {
  const { kind, sideBySide, samples } = settings
  if (kind === 'blob after') {
    const { importBlob, moveIn } = await runModule<{
      importBlob(): Promise<void>
      moveIn(account: Account): Promise<HostSession | undefined>
    }>(samples.blob)
    return { moveIn: once(({ account }) => account && moveIn(account)), import: importBlob }
  }
  if (kind === 'passport after') {
    const { moveIn } = await runModule<{ moveIn(refreshToken: string): Promise<HostSession | undefined> }>(
      samples.passport,
    )
    return { moveIn: once(async ({ refreshToken }) => refreshToken && moveIn(refreshToken)) }
  }
  const { records, moveIn, afterSignIn } = await runModule<{
    records: Records
    moveIn(account: Account, sideBySide: boolean): Promise<HostSession | undefined>
    afterSignIn(session: HostSession): Promise<void>
  }>(samples.records)
  if (kind === 'own after') {
    Object.assign(records, (await runModule<{ records: Records }>(samples.own)).records)
  }
  return {
    moveIn: async ({ account }) => account && moveIn(account, sideBySide),
    ...(sideBySide ? { afterSignIn } : {}),
    afterEviction: (homeAccountId) => records.delete(homeAccountId),
  }
}

/** Only a session of an old server moves. */
function once(moveIn: (session: Session) => Promise<HostSession | '' | undefined> | undefined) {
  return async (session: Session): Promise<HostSession | undefined> => {
    const { account } = session
    return isOurs(account) ? account : (await moveIn(session)) || undefined
  }
}

function isOurs(account: Account | undefined): account is HostSession {
  return account !== undefined && 'generation' in account
}
