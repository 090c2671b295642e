import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'
import { pack } from '../../tools/pack.ts'
import { copyTracked, trackedFiles } from '../../tools/tracked.ts'
import { makeFolder, removeFolder } from '../support/programs.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the examples lie, installed. */
    examples: string
  }
}

const run = promisify(execFile)

/** Installs the examples with the packed library in place of the published one: all of them at once. */
export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const folder = await makeFolder()
  const packed = join(folder, 'packed')
  const examples = join(folder, 'examples')
  const names = trackedFiles('examples/*/package.json').map((file) => basename(dirname(file)))
  const tarball = await pack(packed)
  await copyTracked(trackedFiles(`examples/{${names.join()}}/**`), folder)
  for (const name of names) {
    const manifest = join(examples, name, 'package.json')
    const { dependencies, ...rest } = JSON.parse(await readFile(manifest, 'utf8'))
    await writeFile(
      manifest,
      JSON.stringify({ ...rest, dependencies: { ...dependencies, 'msal-keyv': tarball } }),
    )
  }
  await writeFile(join(examples, 'package.json'), JSON.stringify({ private: true, workspaces: names }))
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund'], { cwd: examples })
  provide('examples', examples)
  return () => removeFolder(folder)
}
