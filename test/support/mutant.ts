import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type * as Library from '../../src/index.ts'

const root = new URL('../..', import.meta.url).pathname

/**
 * The library, or the module `entry` of it, broken on purpose: `line` in `file` replaced by something else. A test
 * that guards a promise proves with it that it can fail.
 */
export async function mutant<Module = typeof Library>(
  file: string,
  line: string,
  replacement: string,
  entry = 'index.ts',
): Promise<Module> {
  const folder = mkdtempSync(join(root, 'node_modules', '.mutant-'))
  try {
    cpSync(join(root, 'src'), folder, { recursive: true })
    const path = join(folder, file)
    const source = readFileSync(path, 'utf8')
    if (source.split(line).length !== 2) throw new Error(`${file} has not exactly one: ${line}`)
    writeFileSync(path, source.replace(line, replacement))
    return (await import(/* @vite-ignore */ join(folder, entry))) as Module
  } finally {
    rmSync(folder, { recursive: true })
  }
}
