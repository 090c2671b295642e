import { type Colour, type DocumentParts, MARGIN, svgDocument, TOP } from './document.ts'
import { element, line, text } from './element.ts'
import type { Scale } from './scale.ts'

export interface Series {
  readonly label: string
  readonly colour: Colour
  readonly points: readonly { readonly x: number; readonly y: number }[]
}

export interface LineChart extends Pick<DocumentParts, 'title' | 'description'> {
  readonly series: readonly Series[]
  readonly x: Scale
  readonly y: Scale
  /** With the units. */
  readonly axes: { readonly x: string; readonly y: string }
}

const WIDTH = 844
const HEIGHT = 400
const LEFT = 78
/** To the right of the plot, for the names of the lines. */
const NAMES = 284
const BOTTOM = 50
const NAME_HEIGHT = 17
const ABOVE = 24

const area = { left: LEFT, right: WIDTH - NAMES, top: TOP + ABOVE, bottom: HEIGHT - BOTTOM } as const

/** A line for each series, named where it ends. */
export function lineChart(chart: LineChart): string {
  const { title, series, x, y, axes } = chart
  const place = (point: { x: number; y: number }) => ({
    x: area.left + x.at(point.x) * (area.right - area.left),
    y: area.bottom - y.at(point.y) * (area.bottom - area.top),
  })
  const placed = series.map((it) => ({ ...it, points: it.points.map(place) }))
  return svgDocument(
    { width: WIDTH, height: HEIGHT, title, description: `${chart.description} ${spoken(chart)}` },
    text(MARGIN, TOP + 8, axes.y),
    ...y.ticks.flatMap((tick) => {
      const at = place({ x: x.ticks[0] ?? 1, y: tick }).y
      const label = text(area.left - 8, at + 4, tick.toLocaleString('en'), { 'text-anchor': 'end' })
      return [line(area.left, at, area.right, at, 'grid'), label]
    }),
    ...x.ticks.map((tick) => {
      const at = place({ x: tick, y: y.ticks[0] ?? 1 }).x
      return text(at, area.bottom + 18, tick.toLocaleString('en'), { 'text-anchor': 'middle' })
    }),
    line(area.left, area.bottom, area.right, area.bottom, 'axis'),
    text((area.left + area.right) / 2, HEIGHT - 12, axes.x, { 'text-anchor': 'middle' }),
    ...placed.flatMap(drawn),
    ...names(placed),
  )
}

function drawn({ colour, points }: Series): string[] {
  const corners = points.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ')
  return [
    element('polyline', { class: `line ${colour}`, points: corners }),
    ...points.map(({ x, y }) => element('circle', { class: colour, cx: x, cy: y, r: 3.5 })),
  ]
}

/** Beside the ends of the lines, below each other where those are close. */
function names(series: readonly Series[]): string[] {
  const ends = series.flatMap(({ label, colour, points }) => {
    const end = points.at(-1)
    return end === undefined ? [] : [{ label, colour, end }]
  })
  let free = area.top
  const sorted = ends.toSorted((a, b) => a.end.y - b.end.y)
  const lowest = area.bottom - (sorted.length - 1) * NAME_HEIGHT
  return sorted.flatMap(({ label, colour, end }, index) => {
    const y = Math.min(Math.max(end.y, free), lowest + index * NAME_HEIGHT)
    free = y + NAME_HEIGHT
    const x = area.right + 18
    return [line(end.x + 5, end.y, x - 4, y, 'grid'), text(x, y + 4, label, { class: `strong ${colour}` })]
  })
}

/** The figures in words, for those who cannot see them. */
function spoken({ series, axes }: LineChart): string {
  const lines = series.map(({ label, points }) => {
    const figures = points.map(({ x, y }) => `${y.toLocaleString('en')} at ${x.toLocaleString('en')}`)
    return `${label}: ${figures.join(', ')}.`
  })
  return `${axes.y}, by ${axes.x}. ${lines.join(' ')}`
}
