import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type * as Library from '../../src/index.ts'
import { changedFiles, changesOf, type MutantName, SOURCES } from './mutants.ts'

const NODE_MODULES = new URL('../../node_modules', import.meta.url).pathname

/** The library, or the module `entry` of it, broken on purpose as the table of mutants says. */
export async function mutant<Module = typeof Library>(name: MutantName, entry = 'index.ts'): Promise<Module> {
  const folder = mkdtempSync(join(NODE_MODULES, '.mutant-'))
  try {
    cpSync(SOURCES, folder, { recursive: true })
    for (const [file, text] of changedFiles(changesOf(name))) writeFileSync(join(folder, file), text)
    return (await import(/* @vite-ignore */ join(folder, entry))) as Module
  } finally {
    rmSync(folder, { recursive: true })
  }
}
