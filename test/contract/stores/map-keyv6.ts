import { Keyv } from 'keyv6'
import type { ContractStore } from '../contract-store.ts'

let records = new Map<string, unknown>()

export const mapKeyv6: ContractStore = {
  name: 'Map, by Keyv 6',
  programs: [],
  async start() {},
  async open() {
    return new Keyv({ store: records })
  },
  async stop() {
    records = new Map()
  },
  address: () => undefined,
}
