/** A block of code in a Markdown document. */
export interface Sample {
  /** Of the document, from the root of the project. */
  readonly path: string
  /** Of the first line of code, counted from 1. */
  readonly line: number
  readonly code: string
}

export function samplesIn(path: string, markdown: string, language: string): Sample[] {
  const fences = /^([ \t]*)(`{3,})([^\n`]*)\n(.*?)^\1\2[ \t]*$/gms
  return [...markdown.matchAll(fences)]
    .filter(([, , , info]) => info?.trim().split(/\s/)[0] === language)
    .map(({ index, 4: code = '' }) => ({ path, line: markdown.slice(0, index).split('\n').length + 1, code }))
}
