import { appendFileSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { expect } from 'vitest'
import { type Change, MUTANTS, type MutantName } from './mutants.ts'

const SOURCES = join(import.meta.dirname, '../../src')

const texts = new Map(
  globSync('**/*.ts', { cwd: SOURCES })
    .map((file) => join(SOURCES, file))
    .map((path): [string, string] => [path, readFileSync(path, 'utf8')]),
)

interface Declaration {
  readonly path: string
  readonly node: ts.Node
  /** What it holds: a constant's value, a function's body. */
  readonly value: ts.Node | undefined
}

/** The path of the file of src that declares `name` at its top level. */
export function fileDeclaring(name: string): string {
  return declaration(name).path
}

/** The file that a mutant concerns, by its path, and its text with the change made. */
export function changedFile(name: MutantName): { path: string; text: string } {
  // Set by tools/mutants.ts.
  const { SEEN_MUTANTS: seen } = process.env
  const { testPath, currentTestName } = expect.getState()
  if (seen !== undefined) appendFileSync(seen, `${JSON.stringify({ name, testPath, currentTestName })}\n`)

  const change: Change = MUTANTS[name]
  const [place] = change
  const { path, node, value } = declaration(place)
  const { text } = node.getSourceFile()
  if (change.length === 2) {
    if (value === undefined) throw new Error(`${place} holds nothing that can be replaced`)
    return { path, text: text.slice(0, value.getStart()) + change[1] + text.slice(value.end) }
  }
  const [before, after, ...more] = node.getText().split(change[1])
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`${place} in ${path} has not exactly one: ${change[1]}`)
  }
  return { path, text: text.slice(0, node.getStart()) + before + change[2] + after + text.slice(node.end) }
}

function declaration(place: string): Declaration {
  const [name = '', member] = place.split('.')
  // Parsing all of src takes half a second.
  const mayDeclare = new RegExp(`\\b(?:class|const|function|let)\\s+${name}\\b`)
  const found = [...texts]
    .filter(([, text]) => mayDeclare.test(text))
    .flatMap(([path, text]) => {
      const { statements } = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
      const named = statements.flatMap((it) => namedBy(it)).filter((it) => it.name === name)
      const nodes = named.flatMap(({ node }) => (member === undefined ? [node] : membersOf(node, member)))
      return nodes.map((node) => ({ path, node, value: heldBy(node) }))
    })
  const [only, ...others] = found
  if (only === undefined || others.length > 0) {
    throw new Error(`src declares ${place} ${found.length} times: ${found.map(({ path }) => path)}`)
  }
  return only
}

function namedBy(statement: ts.Statement): { name: string | undefined; node: ts.Node }[] {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map((node) => ({ name: node.name.getText(), node }))
  }
  // Overloads have no body.
  const isWhole = ts.isClassDeclaration(statement) || (ts.isFunctionDeclaration(statement) && statement.body)
  return isWhole ? [{ name: statement.name?.text, node: statement }] : []
}

function membersOf(node: ts.Node, name: string): ts.Node[] {
  if (!ts.isClassDeclaration(node)) return []
  return node.members.filter((member) =>
    ts.isConstructorDeclaration(member) ? name === 'constructor' : member.name?.getText() === name,
  )
}

function heldBy(node: ts.Node): ts.Node | undefined {
  if (ts.isVariableDeclaration(node) || ts.isPropertyDeclaration(node)) return node.initializer
  return ts.isFunctionLike(node) && 'body' in node ? node.body : undefined
}
