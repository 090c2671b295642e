import type { Keyv } from 'keyv'
import type { KeyvLike } from '../../src/index.ts'
import { closeStore, openStore, type StoreAddress } from '../support/open-store.ts'
import type { Program } from '../support/programs.ts'

/** A store the contract suite runs over. */
export interface ContractStore {
  readonly name: string
  /** Programs that must be on the machine. */
  readonly programs: readonly Program[]
  /** Starts the server, if there is one. The store is empty. */
  start(): Promise<void>
  /** One more connection to the same data, as another process would have it. */
  open(): Promise<KeyvLike>
  /** Closes what `open()` returned, stops the server and removes the data. */
  stop(): Promise<void>
  /** Its adapter is one whose word is not taken for much: each key is read by itself. */
  readonly isUnproven?: boolean
  /** How another process opens the same store, as JSON for its command line; undefined where none can. */
  address(): StoreAddress | undefined
}

/** What keeps the data between `start()` and `stop()`: a server, or a folder. */
export interface StartedStore {
  readonly address: StoreAddress
  stop(): Promise<void>
}

/** A contract store that other processes can open. */
export function addressableStore(
  name: string,
  programs: readonly Program[],
  start: () => Promise<StartedStore>,
  { isUnproven = false } = {},
): ContractStore {
  let started: StartedStore | undefined
  let opened: Keyv[] = []

  function address(): StoreAddress {
    if (started === undefined) {
      throw new Error(`${name} has not been started`)
    }
    return started.address
  }

  return {
    name,
    programs,
    isUnproven,
    address,
    async start() {
      started = await start()
    },
    async open() {
      const keyv = await openStore(address())
      opened.push(keyv)
      return keyv
    },
    async stop() {
      await Promise.all(opened.map(closeStore))
      opened = []
      await started?.stop()
      started = undefined
    },
  }
}
