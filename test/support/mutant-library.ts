import { cp, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { changedFiles, changesOf, type MutantName, SOURCES } from './mutants.ts'
import { makeFolder, removeFolder } from './programs.ts'

const NODE_MODULES = new URL('../../node_modules', import.meta.url).pathname

export interface MutantLibrary {
  /** The module's URL, for other processes to import. */
  readonly url: string
  remove(): Promise<void>
}

/**
 * The library, broken on purpose as by `mutant`, for other processes: it stays until it is removed, and it is not
 * under `node_modules`, where Node strips no types.
 */
export async function mutantLibrary(name: MutantName): Promise<MutantLibrary> {
  const files = changedFiles(changesOf(name))
  const folder = await makeFolder()
  const sources = join(folder, 'src')
  await cp(SOURCES, sources, { recursive: true })
  await symlink(NODE_MODULES, join(folder, 'node_modules'))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  for (const [file, text] of files) await writeFile(join(sources, file), text)
  return { url: pathToFileURL(join(sources, 'index.ts')).href, remove: () => removeFolder(folder) }
}
