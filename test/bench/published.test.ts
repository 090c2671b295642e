import { describe, expect, test } from 'vitest'
import { publish, publishedFiles, publishedResults, readText } from '../../bench/publish.ts'
import { rounded } from '../../bench/statistics.ts'
import { trackedFiles } from '../../tools/tracked.ts'

const results = publishedResults()
if (process.env.UPDATE_DOCS) publish(results)
const files = publishedFiles(results)
const page = readText('docs/performance.md')

describe('the documents are what bench/results/published.json yields', () => {
  test.each(Object.keys(files))('%s', (path) => {
    expect(readText(path)).toBe(files[path])
  })

  test('another figure would be another page and another plot', () => {
    const measurements = results.measurements.map((it) => ({ ...it, median: rounded(it.median * 2) }))
    const others = publishedFiles({ ...results, measurements })
    for (const path of ['docs/performance.md', 'docs/plots/hit.svg']) {
      expect(others[path]).not.toBe(files[path])
    }
  })
})

test('every plot is on the page, with a text for those who cannot see it, and there are no others', () => {
  const drawn = Object.keys(files).filter((path) => path.endsWith('.svg'))
  expect(trackedFiles('docs/**/*.svg')).toEqual(drawn.toSorted())
  for (const path of drawn) {
    expect(page).toMatch(new RegExp(`!\\[[^\\]]{20,}\\]\\(${path.replace('docs/', '')}\\)`))
  }
})
