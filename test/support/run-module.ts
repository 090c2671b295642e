import { randomUUID } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** Runs a text as a JavaScript module of its own, as in a host that has the project's packages installed. */
export async function runModule<Exports>(source: string): Promise<Exports> {
  const path = join(root, 'node_modules', `.sample-${randomUUID()}.mjs`)
  try {
    writeFileSync(path, source)
    return (await import(/* @vite-ignore */ path)) as Exports
  } finally {
    rmSync(path, { force: true })
  }
}
