// What docs/getting-started.md tells a newcomer to run, for any OpenID provider. Pure.
import { completeProgram } from './readme.ts'

/** A block of a section: commands, or what to put into the file that the text names. */
export interface Step {
  readonly language: string
  readonly code: string
}

/** The blocks of code under a heading of the second level, in order. */
export function stepsOf(page: string, heading: string): Step[] {
  const [, section = ''] = page.split(`\n## ${heading}\n`)
  const [text = ''] = section.split('\n## ')
  const blocks = text.matchAll(/^```(\w+)\n(.*?)^```$/gms)
  const steps = [...blocks].map(([, language = '', code = '']) => ({ language, code }))
  if (steps.length === 0) throw new Error(`docs/getting-started.md has no code under ${heading}`)
  return steps
}

const ROUTES = 'const app = express()'

/** README's program with other settings: `settings` in place of everything above its routes. */
export function programWith(settings: string, readme: string): string {
  const [, routes, ...more] = completeProgram(readme).split(`\n${ROUTES}\n`)
  if (routes === undefined || more.length > 0)
    throw new Error(`README's program has not exactly one ${ROUTES}`)
  return `${settings}\n${ROUTES}\n${routes}`
}
