import { Keyv } from 'keyv'
import type { ContractStore } from '../contract-store.ts'

const records = new Map<string, unknown>()

export const map: ContractStore = {
  name: 'Map',
  programs: [],
  async start() {},
  async open() {
    return new Keyv(records, { useKeyPrefix: false })
  },
  async stop() {
    records.clear()
  },
  address: () => undefined,
}
