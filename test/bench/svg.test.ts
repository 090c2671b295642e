import { describe, expect, test } from 'vitest'
import { barChart } from '../../bench/svg/bars.ts'
import { element, text } from '../../bench/svg/element.ts'
import { lineChart } from '../../bench/svg/lines.ts'
import { linearScale, logScale, stepScale } from '../../bench/svg/scale.ts'

describe('scales', () => {
  test.each([
    [[7], 4, [0, 2, 4, 6, 8]],
    [[95, 3], 2, [0, 50, 100]],
    [[1_000], 4, [0, 500, 1_000]],
    [[0.3], 2, [0, 0.2, 0.4]],
  ])(
    'a linear one over %j has round ticks, and none of the values beyond its end',
    (values, count, ticks) => {
      const scale = linearScale(values, count)
      expect(scale.ticks).toEqual(ticks)
      expect(scale.at(0)).toBe(0)
      expect(Math.max(...values.map((value) => scale.at(value)))).toBeLessThanOrEqual(1)
    },
  )

  test('a logarithmic one has powers of ten', () => {
    const scale = logScale([8, 250_000])
    expect(scale.ticks).toEqual([1, 10, 100, 1_000, 10_000, 100_000, 1_000_000])
    expect(scale.at(1_000)).toBeCloseTo(0.5)
  })

  test('one of steps has the values themselves', () => {
    const scale = stepScale([1, 2, 4])
    expect(scale.ticks).toEqual([1, 2, 4])
    expect([1, 2, 4].map((value) => scale.at(value))).toEqual([0, 0.5, 1])
  })

  test('a single value has a place too', () => {
    expect([logScale([1]).at(1), stepScale([5]).at(5)]).toEqual([0, 0])
  })
})

test('what is written is escaped', () => {
  expect(text(1, 2.345, 'a < b & "c"')).toBe('<text x="1" y="2.35">a &lt; b &amp; &quot;c&quot;</text>')
  expect(element('g', { class: '"><script>', id: undefined })).toBe('<g class="&quot;&gt;&lt;script&gt;"/>')
})

const bars = barChart({
  title: 'Bars & more',
  description: 'Two facets.',
  facets: [['Map'], ['Redis', 'cached']],
  bars: [
    { label: 'one', colour: 'blue', values: [25, 100] },
    { label: 'two', colour: 'orange', values: [50, undefined] },
  ],
  axis: 'µs per call',
  format: (value) => `${value} µs`,
})

const lines = lineChart({
  title: 'Lines',
  description: 'Two lines that end at one place.',
  series: [
    {
      label: 'one',
      colour: 'blue',
      points: [
        { x: 1, y: 10 },
        { x: 4, y: 40 },
      ],
    },
    {
      label: 'two',
      colour: 'red',
      points: [
        { x: 1, y: 20 },
        { x: 4, y: 40 },
      ],
    },
  ],
  x: stepScale([1, 2, 4]),
  y: linearScale([40]),
  axes: { x: 'processes', y: 'hits per second' },
})

describe('a bar chart', () => {
  test('has bars as long as their values, on one scale for all facets', () => {
    const widths = [...bars.matchAll(/<rect class="(?:blue|orange)"[^>]* width="([\d.]+)"/g)].map(
      ([, width]) => Number(width),
    )
    expect(widths).toHaveLength(3)
    const [quarter = 0, half = 0, whole = 0] = widths.toSorted((a, b) => a - b)
    expect([whole / quarter, whole / half]).toEqual([4, 2])
  })

  test('says its figures, its unit, and where there is none', () => {
    for (const shown of ['25 µs', '100 µs', '50 µs', 'µs per call', '>–<']) expect(bars).toContain(shown)
  })
})

describe('a line chart', () => {
  test('has a line through its points, from left to right and upwards', () => {
    const [first] = [...lines.matchAll(/points="([\d.]+),([\d.]+) ([\d.]+),([\d.]+)"/g)]
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = (first ?? []).slice(1).map(Number)
    expect(x2).toBeGreaterThan(x1)
    expect(y2).toBeLessThan(y1)
  })

  test('names its lines below each other, even where they end at one place', () => {
    const names = [...lines.matchAll(/<text x="\d+" y="([\d.]+)" class="strong (?:blue|red)">/g)]
    const [first = 0, second = 0] = names.map(([, y]) => Number(y))
    expect(Math.abs(second - first)).toBeGreaterThanOrEqual(12)
  })
})

describe.each([
  ['bar', bars, 'Bars &amp; more', 'one 25 µs, two 50 µs'],
  ['line', lines, 'Lines', 'one: 10 at 1, 40 at 4'],
])('a %s chart', (_, svg, title, spoken) => {
  test('is read out with its title and its figures', () => {
    expect(svg).toContain('role="img" aria-labelledby="title description"')
    expect(svg).toContain(`<title id="title">${title}</title>`)
    expect(/<desc id="description">(.*?)<\/desc>/s.exec(svg)?.[1]).toContain(spoken)
  })

  test('has its own paper, light and dark, and every colour it uses in both', () => {
    expect(svg).toContain('class="paper"')
    const [light = '', dark = ''] = svg.split('prefers-color-scheme:dark')
    for (const [, name = ''] of svg.matchAll(/var\((--[\w-]+)\)/g)) {
      expect(light).toContain(`${name}:#`)
      expect(dark).toContain(`${name}:#`)
    }
  })

  test('is well-formed', () => {
    const open: string[] = []
    for (const [, closing, name, empty] of svg.matchAll(/<(\/?)([a-z]+)[^<>]*?(\/?)>/g)) {
      if (closing) expect(open.pop()).toBe(name)
      else if (!empty) open.push(name ?? '')
    }
    expect(open).toEqual([])
  })
})
