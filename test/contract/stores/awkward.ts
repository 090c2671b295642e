import { Keyv } from 'keyv'
import { AwkwardAdapter } from '../../support/awkward-adapter.ts'
import type { ContractStore } from '../contract-store.ts'

const rows = new Map<string, unknown>()

export const awkward: ContractStore = {
  name: 'an adapter with every bad habit',
  programs: [],
  isUnproven: true,
  async start() {},
  async open() {
    const adapter = new AwkwardAdapter(rows, { failures: 'swallowed', emitsLate: true })
    return new Keyv({ store: adapter, namespace: '', useKeyPrefix: false })
  },
  async stop() {
    rows.clear()
  },
  address: () => undefined,
}
