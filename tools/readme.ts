// What README.md tells a newcomer to run. Pure.

/** The line that installs the library, of which README.md has exactly one. */
export function installLine(readme: string): string {
  const lines = readme.match(/^npm install msal-keyv\b.*$/gm) ?? []
  const [line] = lines
  if (line === undefined || lines.length > 1) throw new Error('README.md has not exactly one install line')
  return line
}

/** The program: the first block of TypeScript after `<!-- the complete program -->`. */
export function completeProgram(readme: string): string {
  const code = /<!-- the complete program -->\s*```ts\n(.*?)^```$/ms.exec(readme)?.[1]
  if (code === undefined) throw new Error('README.md has no block of TypeScript after its program marker')
  return code
}
