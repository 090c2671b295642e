import { cp, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { makeFolder, removeFolder } from './programs.ts'

const root = new URL('../..', import.meta.url).pathname

export interface MutantLibrary {
  /** The module's URL, for other processes to import. */
  readonly url: string
  remove(): Promise<void>
}

/**
 * The library, broken on purpose as by `mutant`, for other processes: it stays until it is removed, and it is not
 * under `node_modules`, where Node strips no types.
 */
export async function mutantLibrary(file: string, line: string, replacement: string): Promise<MutantLibrary> {
  const folder = await makeFolder()
  await cp(join(root, 'src'), join(folder, 'src'), { recursive: true })
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  const path = join(folder, 'src', file)
  const source = await readFile(path, 'utf8')
  if (source.split(line).length !== 2) {
    await removeFolder(folder)
    throw new Error(`${file} has not exactly one: ${line}`)
  }
  await writeFile(path, source.replace(line, replacement))
  return { url: pathToFileURL(join(folder, 'src', 'index.ts')).href, remove: () => removeFolder(folder) }
}
