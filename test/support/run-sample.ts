import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { runModule } from './run-module.ts'
import { samplesIn } from './samples.ts'

const root = join(import.meta.dirname, '../..')

/** The first sample under a heading of a document. */
export function sampleUnder(path: string, heading: string, language: 'ts' | 'js' | 'diff' = 'ts'): string {
  const [, section] = readFileSync(join(root, path), 'utf8').split(`\n${heading}\n`)
  const [sample] = samplesIn(path, section ?? '', language)
  if (sample === undefined) throw new Error(`${path} has no ${language} sample under ${heading}`)
  return sample.code
}

/**
 * A sample as a JavaScript module that exports these names of it.
 * @param replaced what stands in it for something that differs here, such as an address
 */
export function sampleModule(
  code: string,
  replaced: Readonly<Record<string, string>>,
  names: readonly string[],
): string {
  let source = code.replace(
    /from 'msal-keyv(\/\w+)?'/g,
    (_, door = '') => `from '${join(root, 'src', door, 'index.ts')}'`,
  )
  for (const [text, replacement] of Object.entries(replaced)) {
    if (!source.includes(text)) throw new Error(`the sample does not say ${text}`)
    source = source.replaceAll(text, replacement)
  }
  // It may export some of them itself.
  const declared = stripTypeScriptTypes(source).replace(/^export (?=async|class|const|function)/gm, '')
  return `${declared}\nexport { ${names.join(', ')} }\n`
}

/**
 * Runs a sample as a module of its own, as in a host that has the package installed.
 * @param replaced what stands in it for something that differs here, such as an address
 * @param names what of the sample to return
 */
export function runSample<Result>(
  code: string,
  replaced: Readonly<Record<string, string>>,
  names: readonly (keyof Result & string)[],
): Promise<Result> {
  return runModule<Result>(sampleModule(code, replaced, names))
}
