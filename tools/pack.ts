import { execFile } from 'node:child_process'
import { mkdir, readdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { allTrackedFiles, copyTracked, root } from './tracked.ts'

const run = promisify(execFile)

/**
 * Packs the library as `npm publish` does, built anew, without touching the checkout's `dist`: two packs do not
 * disturb each other.
 * @param folder an empty one
 * @returns the tarball's path
 */
export async function pack(folder: string): Promise<string> {
  const copy = join(folder, 'checkout')
  await copyTracked(allTrackedFiles(), copy)
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'))
  await run('npm', ['pack', '--pack-destination', folder], { cwd: copy })
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'))
  if (tarball === undefined) throw new Error('npm pack has made no tarball')
  return join(folder, tarball)
}

/** Unpacks a tarball as npm does into `node_modules`, without its dependencies. */
export async function unpack(tarball: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await run('tar', ['-xzf', tarball, '-C', folder, '--strip-components=1'])
}

/**
 * A project with the packed library and nothing else: its dependency and its peers are those of this checkout.
 * @returns the project's folder
 */
export async function makeConsumer(tarball: string, folder: string): Promise<string> {
  const modules = join(folder, 'node_modules')
  await unpack(tarball, join(modules, 'msal-keyv'))
  await mkdir(join(modules, '@azure'))
  for (const name of ['@azure/msal-node', 'jose', 'keyv']) {
    await symlink(join(root, 'node_modules', name), join(modules, name))
  }
  return folder
}
