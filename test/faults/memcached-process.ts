/** Reads a value that Keyv cannot parse, through the adapter as it comes. `node memcached-process.ts <port>` */
import KeyvMemcache from '@keyv/memcache'
import Keyv from 'keyv'
import { KeyvStore } from '../../src/store/keyv-store.ts'

const adapter = new KeyvMemcache(`127.0.0.1:${process.argv[2]}`)
const store = new KeyvStore(new Keyv(adapter, { namespace: '', useKeyPrefix: false }), 5_000)
await adapter.set('k', 'what nobody can parse', 60_000)
await store.read(['k']).catch(() => {})
process.exit(0)
