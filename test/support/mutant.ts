import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type * as Library from '../../src/index.ts'
import { type Change, changedFiles, changesOf, type MutantName, SOURCES } from './mutants.ts'

const NODE_MODULES = new URL('../../node_modules', import.meta.url).pathname

/** The library, or the module `entry` of it, broken on purpose as the table of mutants says. */
export async function mutant<Module = typeof Library>(name: MutantName, entry?: string): Promise<Module>
/** The same, broken in a place that the test names itself. */
export async function mutant<Module = typeof Library>(
  file: string,
  text: string,
  replacement: string,
  entry?: string,
): Promise<Module>
export async function mutant<Module>(...of: (string | undefined)[]): Promise<Module> {
  const [name = '', second = '', replacement] = of
  const isNamed = replacement === undefined
  const changes: readonly Change[] = isNamed ? changesOf(name as MutantName) : [[name, second, replacement]]
  const entry = (isNamed ? second : of[3]) || 'index.ts'
  const folder = mkdtempSync(join(NODE_MODULES, '.mutant-'))
  try {
    cpSync(SOURCES, folder, { recursive: true })
    for (const [file, text] of changedFiles(changes)) writeFileSync(join(folder, file), text)
    return (await import(/* @vite-ignore */ join(folder, entry))) as Module
  } finally {
    rmSync(folder, { recursive: true })
  }
}
