import { join } from 'node:path'
import ts from 'typescript'
import { root } from '../tracked.ts'
import { doors } from './doors.ts'

/**
 * What hosts can call and whose doc comment has no `@example`: exported functions and classes, and the methods of
 * those classes, as `name` or `Class.name`. A class is shown by an example of its own; an error is thrown, not made.
 */
export function withoutExample(): string[] {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  const entries = Object.values(doors).map((file) => join(root, file))
  const program = ts.createProgram(entries, options)
  const checker = program.getTypeChecker()
  const modules = entries.map((entry) => {
    const file = program.getSourceFile(entry)
    const module = file && checker.getSymbolAtLocation(file)
    if (module === undefined) throw new Error(`${entry} exports nothing`)
    return module
  })

  const missing: string[] = []
  const look = (name: string, symbol: ts.Symbol) => {
    const tags = symbol.getJsDocTags(checker).map((tag) => tag.name)
    if (!tags.includes('example') && !tags.includes('inheritDoc')) missing.push(name)
  }
  for (const exported of modules.flatMap((module) => checker.getExportsOfModule(module))) {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
    if (symbol.flags & ts.SymbolFlags.Function) look(symbol.name, symbol)
    if (!(symbol.flags & ts.SymbolFlags.Class) || symbol.name.endsWith('Error')) continue
    look(symbol.name, symbol)
    for (const member of symbol.members?.values() ?? []) {
      const isPublic = !member.name.startsWith('__#') && !isPrivate(member)
      if (member.flags & ts.SymbolFlags.Method && isPublic) look(`${symbol.name}.${member.name}`, member)
    }
  }
  return missing.sort()
}

function isPrivate({ declarations = [] }: ts.Symbol): boolean {
  return declarations.some((it) => ts.isMethodDeclaration(it) && ts.isPrivateIdentifier(it.name))
}
