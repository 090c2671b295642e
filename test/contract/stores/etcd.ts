import { ETCD, OtherServer } from '../../support/other-servers.ts'
import { addressableStore } from '../contract-store.ts'

export const etcd = addressableStore(
  'etcd',
  ['etcd'],
  async () => {
    const server = await OtherServer.start(ETCD)
    return { address: { kind: 'etcd', port: server.port }, stop: () => server.stop() }
  },
  { isUnproven: true },
)
