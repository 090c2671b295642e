/** The promises over the demo's own SQLite adapter, which is small and not a product. */
import { join } from 'node:path'
import type { Keyv } from 'keyv'
import { openStore } from '../../examples/demo/store.ts'
import { contract } from '../contract/contract.ts'
import { makeFolder, removeFolder } from '../support/programs.ts'

let folder: string
let opened: Keyv[] = []

contract({
  name: 'the demo’s SQLite',
  programs: [],
  isUnproven: true,
  address: () => undefined,
  start: async () => {
    folder = await makeFolder()
  },
  open: async () => {
    const store = openStore(join(folder, 'tokens.sqlite'))
    opened.push(store)
    return store
  },
  stop: async () => {
    await Promise.all(opened.map((store) => store.disconnect()))
    opened = []
    await removeFolder(folder)
  },
})
