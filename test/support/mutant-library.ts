import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { bundleMutant } from './bundled-mutant.ts'
import type { MutantName } from './mutants.ts'
import { makeFolder, removeFolder } from './programs.ts'

const NODE_MODULES = join(import.meta.dirname, '../../node_modules')

export interface MutantLibrary {
  /** The module's URL, for other processes to import. */
  readonly url: string
  remove(): Promise<void>
}

/** The library, or the module of it that declares `declared`, broken on purpose as by `mutant`, for other processes: it stays until it is removed. */
export async function mutantLibrary(name: MutantName, declared?: string): Promise<MutantLibrary> {
  const folder = await makeFolder()
  const file = join(folder, 'mutant.mjs')
  await bundleMutant(name, file, declared)
  await symlink(NODE_MODULES, join(folder, 'node_modules'))
  return { url: pathToFileURL(file).href, remove: () => removeFolder(folder) }
}
