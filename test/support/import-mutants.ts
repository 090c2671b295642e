import type { Change } from './mutants.ts'

/** The part of the table of mutants that concerns imports; see mutants.ts. */
export const IMPORT_MUTANTS = {
  'import: a generation for each': [
    'plugins/import.ts',
    'const generation = importedGeneration(accounts.generationKeyOf(homeAccountId))',
    'const generation = Math.random().toString()',
  ],
  'import: evictions ignored': [
    'plugins/import.ts',
    "if (current.kind === 'known' || isSessionEnded) return { homeAccountId, reason: 'evicted' }",
    '',
  ],
  'import: no look afterwards': [
    'plugins/import.ts',
    'if (!isImported(outcome) || current.has(outcome)) return outcome',
    'return outcome',
  ],
  'import: what is stored is replaced': [
    'plugins/import.ts',
    'if (partition === undefined) return undefined',
    'if (partition !== null) return undefined',
  ],
  'import: all accounts at once': ['plugins/import.ts', 'const AT_ONCE = 16', 'const AT_ONCE = 1e9'],
  'import: links not looked for': [
    'plugins/import.ts',
    "if (found?.reason === 'stored') await accounts.relink(homeAccountId, loaded, sessions)",
    '',
  ],
  'callbacks out of order go unnoticed': [
    'kinds/cache-plugin.ts',
    'return this.#checkBegun(context)',
    'return',
  ],
} as const satisfies Record<string, Change>
