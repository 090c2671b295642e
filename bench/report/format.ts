/** Figures and tables as text. */

/** Microseconds, with as many decimals as say something. */
export function microseconds(value: number): string {
  return value < 100 ? value.toFixed(1) : integer(value)
}

export function integer(value: number): string {
  return Math.round(value).toLocaleString('en')
}

export function kilobytes(bytes: number): string {
  return bytes === 0 ? '0' : (bytes / 1_000).toLocaleString('en', { maximumFractionDigits: 1 })
}

export function megabytes(bytes: number): string {
  return (bytes / 1_000_000).toLocaleString('en', { maximumFractionDigits: 1 })
}

/** A quotient of two medians. */
export function ratio(value: number): string {
  return value < 100 ? value.toFixed(2) : integer(value)
}

export type Cell = string | undefined

/** A Markdown table that reads well as plain text too. All columns but the first are flush right. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const texts = [head, ...rows].map((row) => row.map((cell) => cell ?? '–'))
  const widths = head.map((_, column) => Math.max(3, ...texts.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const padded = texts.map((row) =>
    line(widths.map((width, column) => pad(row[column] ?? '', width, column))),
  )
  const rule = line(
    widths.map(
      (width, column) => `${'-'.repeat(column === 0 ? width : width - 1)}${column === 0 ? '' : ':'}`,
    ),
  )
  return [padded[0], rule, ...padded.slice(1)].join('\n')
}

function pad(text: string, width: number, column: number): string {
  return column === 0 ? text.padEnd(width) : text.padStart(width)
}
