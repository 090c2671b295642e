import { element, escaped, text } from './element.ts'

export interface DocumentParts {
  readonly width: number
  readonly height: number
  /** Drawn above the plot, and read out by screen readers. */
  readonly title: string
  /** Read out by screen readers: what can be seen. */
  readonly description: string
}

/** Where the plot begins, below the title. */
export const TOP = 44
export const MARGIN = 16

/** Colours of series, in light and in dark. Each has a contrast of at least 3 to the paper. */
const COLOURS = {
  blue: ['#0a5ccf', '#58a6ff'],
  sky: ['#2f86b5', '#8cc8f0'],
  teal: ['#0f766e', '#3cc7b4'],
  orange: ['#bc4c00', '#f0883e'],
  amber: ['#8a6100', '#d9b13b'],
  violet: ['#8250df', '#c19bf5'],
  red: ['#c4283a', '#ff7b72'],
  grey: ['#656d76', '#9aa4af'],
} as const

export type Colour = keyof typeof COLOURS

const INK = {
  paper: ['#ffffff', '#0d1117'],
  ink: ['#1f2328', '#e6edf3'],
  grid: ['#d8dee4', '#30363d'],
} as const

/** A whole SVG document, on its own paper: readable on a light page and on a dark one. */
export function svgDocument({ width, height, title, description }: DocumentParts, ...body: string[]): string {
  const root = {
    xmlns: 'http://www.w3.org/2000/svg',
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: 'img',
    'aria-labelledby': 'title description',
  }
  const parts = [
    element('title', { id: 'title' }, escaped(title)),
    element('desc', { id: 'description' }, escaped(description)),
    element('style', {}, STYLE),
    element('rect', { class: 'paper', width, height, rx: 6 }),
    text(MARGIN, 27, title, { class: 'title' }),
    ...body,
  ]
  return `${element('svg', root, ...parts.map((part) => `\n${part}`), '\n')}\n`
}

const STYLE = [
  `svg{${variables(0)}}`,
  `@media(prefers-color-scheme:dark){svg{${variables(1)}}}`,
  'text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--ink)}',
  '.title{font-size:15px;font-weight:600}.strong{font-weight:600}',
  '.paper{fill:var(--paper)}.grid{stroke:var(--grid)}.axis{stroke:var(--ink)}',
  '.line{stroke-width:2}.sealed{fill-opacity:.55}.value{font-variant-numeric:tabular-nums}',
  ...Object.keys(COLOURS).map(
    (name) => `.${name}{fill:var(--${name})}.line.${name}{fill:none;stroke:var(--${name})}`,
  ),
].join('\n')

function variables(theme: 0 | 1): string {
  return Object.entries({ ...INK, ...COLOURS })
    .map(([name, values]) => `--${name}:${values[theme]}`)
    .join(';')
}
