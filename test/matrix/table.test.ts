import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Finding, render, withTables, writtenPart } from '../../tools/matrix/table.ts'
import { matrix } from '../../tools/matrix/versions.ts'
import { root } from '../../tools/tracked.ts'

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  engines: { node: string }
  peerDependencies: Record<string, string>
}

describe('docs/compatibility.md', () => {
  const written = writtenPart(readFileSync(join(root, 'docs/compatibility.md'), 'utf8'))
  const [runtimes = [], peers = [], typescript = []] = tablesIn(written)

  test('says when it was written', () => {
    expect(written.match(/^On \d{4}-\d{2}-\d{2}, /gm)).toHaveLength(3)
  })

  test('has every runtime, MSAL Node, Keyv and TypeScript of the matrix, with exact versions', () => {
    expect(firstCells(runtimes)).toEqual([
      ...matrix.node.map((version) => expect.stringMatching(startsWith(`Node ${version}`))),
      ...matrix.otherRuntimes.map((name) =>
        expect.stringMatching(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+$`, 'i')),
      ),
    ])
    expect(firstCells(peers)).toEqual(
      matrix.msal.map((version) => expect.stringMatching(startsWith(version))),
    )
    expect(peers[0]?.slice(1)).toEqual(
      matrix.keyv.map((version) => expect.stringMatching(startsWith(`Keyv ${version}`))),
    )
    expect(firstCells(typescript)).toEqual(
      matrix.typescript.map((version) => expect.stringMatching(startsWith(version))),
    )
    expect(typescript[0]?.slice(1)).toEqual(matrix.resolutions)
  })

  test('what package.json promises works', () => {
    const works = (rows: string[][]) => rows.slice(1).map(([name, ...cells]) => ({ name, cells }))
    for (const { name, cells } of works(peers)) {
      for (const cell of cells) expect(`${name}: ${cell}`).toMatch(/: works/)
    }
    for (const { name, cells } of works(runtimes).filter(({ name }) => name?.startsWith('Node'))) {
      for (const cell of cells) expect(`${name}: ${cell}`).toMatch(/: works$/)
    }
  })

  test('engines and peer ranges begin where the matrix does', () => {
    expect(manifest.engines.node).toBe(`>=${matrix.node[0].replace(/\.0$/, '')}`)
    expect(manifest.peerDependencies['@azure/msal-node']).toBe(
      matrix.msal
        .filter((version) => version.split('.').length === 3)
        .map((version) => `^${version}`)
        .join(' || '),
    )
    expect(manifest.peerDependencies.keyv).toBe('^5.6.0 || ^6.0.0')
  })
})

describe('the tables', () => {
  const finding = (verdict: Finding['verdict'], note?: string): Finding => ({
    row: 'a',
    column: 'b',
    verdict,
    note,
  })
  const cell = (...findings: Finding[]) =>
    tablesIn(render([{ title: 'T', intro: 'I', rows: 'r', findings }]))[0]?.[1]?.[1]

  test.each([
    ['works', [finding('works'), finding('works')]],
    [
      'works, but (1)',
      [finding('works'), finding('works, but', 'a caveat'), finding('works, but', 'a caveat')],
    ],
    ['does not (1, 2)', [finding('does not', 'one'), finding('works, but', 'two'), finding('works')]],
    ['not tried (1)', [finding('not tried', 'not there')]],
  ])('a cell says the worst that was found: %s', (expected, findings) => {
    expect(cell(...findings)).toBe(expected)
  })

  test('a page without its markers is an error, and all around them stays', () => {
    expect(() => withTables('# Page', 'text')).toThrow('has not exactly one')
    const page = withTables(readFileSync(join(root, 'docs/compatibility.md'), 'utf8'), 'new')
    expect(writtenPart(page)).toBe('new')
    expect(page).toMatch(/^# Compatibility/)
  })
})

/** The tables of a text as cells, headings first. */
function tablesIn(markdown: string): string[][][] {
  const blocks = markdown.split('\n\n').filter((block) => block.startsWith('|'))
  return blocks.map((block) =>
    block
      .split('\n')
      .filter((line) => !line.startsWith('| ---'))
      .map((line) =>
        line
          .slice(1, -1)
          .split('|')
          .map((text) => text.trim()),
      ),
  )
}

function firstCells(rows: string[][]): (string | undefined)[] {
  return rows.slice(1).map(([first]) => first)
}

function startsWith(version: string): RegExp {
  return new RegExp(`^${version.replaceAll('.', '\\.')}(\\.|$)`)
}
