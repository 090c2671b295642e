import { createClient } from '@keyv/redis'
import type KeyvSqlite from '@keyv/sqlite'
import { closeStore, openStore, type StoreAddress } from '../support/open-store.ts'
import type { RedisServer } from '../support/redis-server.ts'

/** Something that a stress run suffers from now and then. */
export interface FaultKind {
  readonly name: string
  /** How long it lasts, in milliseconds. */
  readonly shortest: number
  readonly longest: number
  begin(): Promise<void> | void
  end(): Promise<void> | void
}

/** Faults, and the connection that they need, which is to be closed. */
export interface Faults {
  readonly kinds: readonly FaultKind[]
  stop(): Promise<void> | void
}

/** Redis paused, for longer and shorter than the `storeTimeout`, and all connections cut with whatever is on them. */
export async function redisFaults(server: RedisServer, longestPause: number): Promise<Faults> {
  const client = createClient({ url: server.url })
  client.on('error', () => {})
  await client.connect()
  const kinds: FaultKind[] = [
    {
      name: 'Redis paused',
      shortest: 50,
      longest: longestPause,
      begin: () => server.pause(),
      end: () => server.resume(),
    },
    {
      name: 'connections cut',
      shortest: 1,
      longest: 2,
      async begin() {
        await client.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'])
      },
      end() {},
    },
  ]
  return { kinds, stop: () => client.destroy() }
}

/** The file locked for writing by another connection, for longer and shorter than the `storeTimeout`. */
export async function sqliteFaults(address: StoreAddress, longestLock: number): Promise<Faults> {
  const keyv = await openStore(address)
  const adapter = keyv.store as KeyvSqlite
  const locked: FaultKind = {
    name: 'file locked',
    shortest: 50,
    longest: longestLock,
    async begin() {
      await adapter.query('BEGIN IMMEDIATE')
    },
    async end() {
      await adapter.query('COMMIT')
    },
  }
  return { kinds: [locked], stop: () => closeStore(keyv) }
}
