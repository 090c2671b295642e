import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type * as Library from './all-doors.ts'
import { bundleMutant } from './bundled-mutant.ts'
import type { MutantName } from './mutants.ts'

const NODE_MODULES = join(import.meta.dirname, '../../node_modules')

/** The library, or the module of it that declares `declared`, broken on purpose as the table of mutants says. */
export async function mutant<Module = typeof Library>(name: MutantName, declared?: string): Promise<Module> {
  const folder = mkdtempSync(join(NODE_MODULES, '.mutant-'))
  try {
    // TypeScript by name: so Vitest imports it, and resolves in it what the project says MSAL Node is.
    const file = join(folder, 'mutant.ts')
    await bundleMutant(name, file, declared)
    return (await import(/* @vite-ignore */ file)) as Module
  } finally {
    rmSync(folder, { recursive: true })
  }
}
