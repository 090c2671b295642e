import { MEMCACHED, OtherServer } from '../../support/other-servers.ts'
import { addressableStore } from '../contract-store.ts'

export const memcached = addressableStore(
  'memcached',
  ['memcached'],
  async () => {
    const server = await OtherServer.start(MEMCACHED)
    return { address: { kind: 'memcached', port: server.port }, stop: () => server.stop() }
  },
  { isUnproven: true },
)
