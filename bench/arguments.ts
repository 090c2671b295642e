import { parseArgs } from 'node:util'
import { FULL, long, type Profile, QUICK } from './profile.ts'
import type { ScenarioName } from './results.ts'
import type { LibraryName } from './worker/library.ts'

export const SCENARIOS: readonly ScenarioName[] = ['hit', 'operations', 'accounts', 'processes', 'heap']

export interface Arguments {
  readonly profile: Profile
  readonly scenarios: readonly ScenarioName[]
  readonly library: LibraryName
  readonly writeDocs: boolean
}

/** @throws {TypeError} naming the argument */
export function readArguments(args: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      long: { type: 'boolean', default: false },
      source: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      'write-docs': { type: 'boolean', default: false },
    },
  })
  const only = values.only.map(scenarioNamed)
  const profile = values.quick ? QUICK : FULL
  if (values['write-docs'] && only.length > 0) {
    throw new TypeError('--write-docs needs a whole run: leave --only out')
  }
  if (values['write-docs'] && values.source) {
    throw new TypeError('--write-docs is for what users run: leave --source out')
  }
  return {
    profile: values.long ? long(profile) : profile,
    scenarios: only.length > 0 ? only : SCENARIOS,
    library: values.source ? 'src' : 'dist',
    writeDocs: values['write-docs'],
  }
}

function scenarioNamed(name: string): ScenarioName {
  const scenario = SCENARIOS.find((it) => it === name)
  if (scenario === undefined) throw new TypeError(`--only takes one of ${SCENARIOS.join(', ')}`)
  return scenario
}
