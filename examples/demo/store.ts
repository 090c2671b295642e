import { KeyvSqlite } from '@keyv/sqlite'
import { Keyv } from 'keyv'

/**
 * The store of one machine. For a fleet of servers it is the only line that changes:
 *
 *     new Keyv({ store: new KeyvRedis(process.env.REDIS_URL, { throwOnErrors: true }), namespace: '', useKeyPrefix: false })
 *
 * Both options, so that keys are what they are under Keyv 5 and 6 alike, and Keyv 5 can iterate over them.
 */
export function openStore(file: string): Keyv {
  return new Keyv({ store: new KeyvSqlite({ uri: `sqlite://${file}` }), namespace: '', useKeyPrefix: false })
}
