// Results as Markdown: pure.

/** From best to worst. */
export const VERDICTS = ['works', 'works, but', 'not tried', 'does not'] as const
export type Verdict = (typeof VERDICTS)[number]

/** One observation that concerns a cell. */
export interface Finding {
  readonly row: string
  readonly column: string
  readonly verdict: Verdict
  /** What is to be said of it, unless it works. */
  readonly note?: string | undefined
}

export interface Table {
  readonly title: string
  readonly intro: string
  /** What the rows are. */
  readonly rows: string
  readonly findings: readonly Finding[]
}

const BEGIN = '<!-- matrix:begin, written by `npm run test:matrix` -->'
const END = '<!-- matrix:end -->'

/** The page with its part between the markers replaced. */
export function withTables(page: string, text: string): string {
  const [before, rest] = splitAt(page, BEGIN)
  const [, after] = splitAt(rest, END)
  return `${before}${BEGIN}\n\n${text.trim()}\n\n${END}${after}`
}

/** What the last run wrote into the page. */
export function writtenPart(page: string): string {
  return splitAt(splitAt(page, BEGIN)[1], END)[0].trim()
}

/** Tables, and under them the notes that their cells refer to by number. */
export function render(tables: readonly Table[]): string {
  const notes = new Notes()
  const parts = tables.map(({ title, intro, rows, findings }) => {
    const columns = unique(findings.map(({ column }) => column))
    const lines = unique(findings.map(({ row }) => row)).map((row) => [
      row,
      ...columns.map((column) =>
        cell(
          findings.filter((it) => it.row === row && it.column === column),
          notes,
        ),
      ),
    ])
    const head = [rows, ...columns]
    const table = [head, head.map(() => '---'), ...lines].map((line) => `| ${line.join(' | ')} |`)
    return [`## ${title}`, intro, table.join('\n')].join('\n\n')
  })
  return [...parts, notes.render()].filter(Boolean).join('\n\n')
}

/** The worst of what was found, and what there is to say of it. */
function cell(findings: readonly Finding[], notes: Notes): string {
  const worst = VERDICTS.findLast((verdict) => findings.some((it) => it.verdict === verdict))
  if (worst === undefined) return 'not tried'
  const numbers = unique(findings.flatMap(({ note }) => (note === undefined ? [] : [notes.number(note)])))
  return numbers.length === 0 ? worst : `${worst} (${numbers.toSorted((a, b) => a - b).join(', ')})`
}

class Notes {
  readonly #texts: string[] = []

  number(text: string): number {
    if (!this.#texts.includes(text)) this.#texts.push(text)
    return this.#texts.indexOf(text) + 1
  }

  render(): string {
    if (this.#texts.length === 0) return ''
    return ['## Notes', this.#texts.map((text, index) => `${index + 1}. ${text}`).join('\n')].join('\n\n')
  }
}

function splitAt(text: string, marker: string): [before: string, after: string] {
  const parts = text.split(marker)
  const [before = '', after = ''] = parts
  if (parts.length !== 2) throw new Error(`the page has not exactly one ${marker}`)
  return [before, after]
}

function unique<Value>(values: readonly Value[]): Value[] {
  return [...new Set(values)]
}
