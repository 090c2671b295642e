import { join } from 'node:path'
import { makeFolder, removeFolder } from '../../support/programs.ts'
import { addressableStore } from '../contract-store.ts'

export const sqlite = addressableStore('SQLite', [], async () => {
  const folder = await makeFolder()
  return {
    address: { kind: 'sqlite', file: join(folder, 'tokens.sqlite') },
    stop: () => removeFolder(folder),
  }
})
