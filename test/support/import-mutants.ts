import type { Change } from './mutants.ts'

/** The part of the table of mutants that concerns imports; see mutants.ts. */
export const IMPORT_MUTANTS = {
  'import: a generation for each': [
    'migrate/import.ts',
    'const generation = importedGeneration(accounts.generationKeyOf(homeAccountId))',
    'const generation = Math.random().toString()',
  ],
  'import: evictions ignored': [
    'migrate/import.ts',
    "if (current.kind === 'known' || isSessionEnded) return { homeAccountId, reason: 'evicted' }",
    '',
  ],
  'import: no look afterwards': [
    'migrate/import.ts',
    'if (!isImported(outcome) || current.has(outcome)) return outcome',
    'return outcome',
  ],
  'import: what is stored is replaced': [
    'migrate/import.ts',
    'if (partition === undefined) return undefined',
    'if (partition !== null) return undefined',
  ],
  'import: all accounts at once': ['migrate/import.ts', 'const AT_ONCE = 16', 'const AT_ONCE = 1e9'],
  'import: links not looked for': [
    'migrate/import.ts',
    "if (found?.reason === 'stored') await accounts.relink(homeAccountId, loaded, sessions)",
    '',
  ],
  'callbacks out of order go unnoticed': [
    'kinds/cache-plugin.ts',
    'return this.#checkBegun(context)',
    'return',
  ],
} as const satisfies Record<string, Change>
