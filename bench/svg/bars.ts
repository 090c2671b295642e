import { type Colour, type DocumentParts, MARGIN, svgDocument, TOP } from './document.ts'
import { element, line, text } from './element.ts'
import { linearScale, type Scale } from './scale.ts'

export interface Bar {
  readonly label: string
  readonly colour: Colour
  readonly faint?: boolean
  /** One for each facet; absent where there is none. */
  readonly values: readonly (number | undefined)[]
}

export interface BarChart extends Pick<DocumentParts, 'title' | 'description'> {
  /** The headings of the columns; a second line may say more. */
  readonly facets: readonly (readonly string[])[]
  readonly bars: readonly Bar[]
  /** With the unit. */
  readonly axis: string
  format(value: number): string
}

const LABELS = 268
const FACET = 136
/** Beside the longest bar, for its figure. */
const FIGURE = 48
const ROW = 24
const HEADING = 36
const AXIS = 46

/** A column of horizontal bars for each facet, all on one scale. */
export function barChart(chart: BarChart): string {
  const { title, facets, bars, axis, format } = chart
  const values = bars.flatMap((bar) => bar.values.filter((value) => value !== undefined))
  const scale = linearScale(values, 2)
  const width = MARGIN + LABELS + facets.length * FACET + MARGIN
  const top = TOP + HEADING
  const bottom = top + bars.length * ROW
  const labels = bars.map(({ label }, row) => text(MARGIN, middle(top, row), label))
  const columns = facets.map((heading, facet) => {
    const left = MARGIN + LABELS + facet * FACET
    return [
      ...headings(left, heading),
      ...grid(scale, left, top, bottom),
      ...bars.map((bar, row) => drawn(bar, bar.values[facet], { left, y: middle(top, row), scale, format })),
    ]
  })
  const parts = { width, height: bottom + AXIS, title, description: `${chart.description} ${spoken(chart)}` }
  const unit = text(width - MARGIN, bottom + AXIS - 10, axis, { 'text-anchor': 'end' })
  return svgDocument(parts, ...labels, ...columns.flat(), unit)
}

/** The base line of a row's text. */
function middle(top: number, row: number): number {
  return top + row * ROW + 16
}

function headings(left: number, [first = '', second = '']: readonly string[]): string[] {
  const above = second === '' ? [] : [text(left, TOP + 26, second)]
  return [text(left, TOP + (second === '' ? 26 : 12), first, { class: 'strong' }), ...above]
}

function grid(scale: Scale, left: number, top: number, bottom: number): string[] {
  return scale.ticks.flatMap((tick, index) => {
    const x = left + scale.at(tick) * (FACET - FIGURE)
    const rule = line(x, top, x, bottom, index === 0 ? 'axis' : 'grid')
    // Between the first and the last there is no room for long figures.
    if (index > 0 && index < scale.ticks.length - 1) return [rule]
    return [rule, text(x, bottom + 16, tick.toLocaleString('en'), { 'text-anchor': 'middle' })]
  })
}

function drawn(
  { colour, faint }: Bar,
  value: number | undefined,
  { left, y, scale, format }: { left: number; y: number; scale: Scale; format(value: number): string },
): string {
  if (value === undefined) return text(left + 5, y, '–')
  const width = Math.max(1, scale.at(value) * (FACET - FIGURE))
  const className = faint ? `${colour} sealed` : colour
  const bar = element('rect', { class: className, x: left, y: y - 12, width, height: 16 })
  return bar + text(left + width + 5, y, format(value), { class: 'value' })
}

/** The figures in words, for those who cannot see them. */
function spoken({ facets, bars, axis, format }: BarChart): string {
  const columns = facets.map((heading, facet) => {
    const figures = bars.flatMap(({ label, values }) => {
      const value = values[facet]
      return value === undefined ? [] : [`${label} ${format(value)}`]
    })
    return `${heading.join(' ')}: ${figures.join(', ')}.`
  })
  return `${axis}. ${columns.join(' ')}`
}
