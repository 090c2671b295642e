import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { samplesIn } from './samples.ts'

const root = join(import.meta.dirname, '../..')
let samples = 0

/** The first sample under a heading of a document. */
export function sampleUnder(path: string, heading: string, language: 'ts' | 'js' = 'ts'): string {
  const [, section] = readFileSync(join(root, path), 'utf8').split(`\n${heading}\n`)
  const [sample] = samplesIn(path, section ?? '', language)
  if (sample === undefined) throw new Error(`${path} has no ${language} sample under ${heading}`)
  return sample.code
}

/**
 * Runs a sample as a module of its own, as in a host that has the package installed.
 * @param replaced what stands in it for something that differs here, such as an address
 * @param names what of the sample to return
 */
export async function runSample<Result>(
  code: string,
  replaced: Readonly<Record<string, string>>,
  names: readonly (keyof Result & string)[],
): Promise<Result> {
  let source = code.replaceAll("from 'msal-keyv'", `from '${join(root, 'src/index.ts')}'`)
  for (const [text, replacement] of Object.entries(replaced)) {
    if (!source.includes(text)) throw new Error(`the sample does not say ${text}`)
    source = source.replaceAll(text, replacement)
  }
  const path = join(root, 'node_modules', `.sample-${process.pid}-${samples++}.mjs`)
  try {
    writeFileSync(path, `${stripTypeScriptTypes(source)}\nexport { ${names.join(', ')} }\n`)
    return (await import(/* @vite-ignore */ path)) as Result
  } finally {
    rmSync(path, { force: true })
  }
}
