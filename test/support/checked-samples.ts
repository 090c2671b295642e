import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import ts from 'typescript'
import { doors, reportName } from '../../tools/api/doors.ts'
import type { Sample } from './samples.ts'

const root = join(import.meta.dirname, '../..')
const hostPath = './test/support/sample-host.d.ts'

/** A sample that says which of the packages' names it takes for granted. */
export function withImports(sample: Sample): Sample {
  const { code } = sample
  const isUsed = (name: string) => new RegExp(`\\b${name}\\b`).test(code)
  const isThere = (name: string) => new RegExp(`^import .*\\b${name}\\b`, 'm').test(code)
  const packages: Readonly<Record<string, readonly string[]>> = {
    ...Object.fromEntries(Object.keys(doors).map((door) => [door, exportsOf(door)])),
    '@azure/msal-node': ['type AccountInfo', 'ConfidentialClientApplication'],
    '@microsoft/microsoft-graph-client': ['Client'],
    '@microsoft/microsoft-graph-client/authProviders/azureTokenCredentials/index.js': [
      'TokenCredentialAuthenticationProvider',
    ],
    '@keyv/redis': ['default as KeyvRedis'],
    keyv: ['Keyv'],
    'node:fs/promises': ['readFile'],
  }
  const imports = Object.entries(packages).flatMap(([from, names]) => {
    const used = names.filter((name) => {
      const local = name.replace(/^(?:type|default as) /, '')
      return isUsed(local) && !isThere(local)
    })
    return used.length === 0 ? [] : [`import { ${used.join(', ')} } from '${from}'`]
  })
  // On the line that is there, so that the lines count as in the document.
  return { ...sample, code: [...imports, code].join('; ') }
}

function exportsOf(door: string): string[] {
  const report = readFileSync(join(root, 'etc', reportName(door)), 'utf8')
  const exported = report.matchAll(/^export (?:abstract )?(?:class|const|function|interface|type) (\w+)/gm)
  return [...exported].map(([, name = '']) => name)
}

/**
 * What the compiler has to say about samples in TypeScript, each as `file:line: TS…`. They are modules of one
 * program, with the project's options and with `src` in the place of the package.
 */
export function problemsIn(samples: readonly Sample[]): string[] {
  const texts = new Map(samples.map((sample) => [moduleName(sample), onItsLine(sample)]))
  texts.set(join(root, 'sample-globals.d.ts'), globals())
  const program = createProgram(texts)
  const found = [
    ...program.getOptionsDiagnostics(),
    ...program.getGlobalDiagnostics(),
    ...[...texts.keys()].flatMap((path) => {
      const file = program.getSourceFile(path)
      return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
    }),
  ]
  return found.map(describe)
}

/** Those of dependencies and of the library, which all programs share. */
const sourceFiles = new Map<string, ts.SourceFile | undefined>()

function createProgram(texts: ReadonlyMap<string, string>): ts.Program {
  const options = compilerOptions()
  const host = ts.createCompilerHost(options)
  return ts.createProgram([...texts.keys()], options, {
    ...host,
    fileExists: (path) => texts.has(path) || host.fileExists(path),
    readFile: (path) => texts.get(path) ?? host.readFile(path),
    getSourceFile(path, target) {
      const text = texts.get(path)
      if (text !== undefined) return ts.createSourceFile(path, text, target)
      const file = sourceFiles.get(path) ?? host.getSourceFile(path, target)
      sourceFiles.set(path, file)
      return file
    },
  })
}

function compilerOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  return {
    ...ts.parseJsonConfigFileContent(config, ts.sys, root).options,
    moduleDetection: ts.ModuleDetectionKind.Force,
    paths: {
      'msal-keyv': [join(root, 'src/index.ts')],
      'msal-keyv/*': [join(root, 'src/*/index.ts')],
    },
  }
}

/** The host's exports as globals. In their own file they are exports, so as to be global in samples only. */
function globals(): string {
  const host = readFileSync(join(root, hostPath), 'utf8')
  const names = [...host.matchAll(/^export const (\w+):/gm)].map(([, name]) => name)
  const constants = names.map((name) => `const ${name}: typeof import('${hostPath}').${name}`)
  return `export {}\ndeclare global {\n${constants.join('\n')}\n}\n`
}

/** Of a file that does not exist, in which imports resolve as they do at the root. */
function moduleName({ path, line }: Sample): string {
  return join(root, `${path}#${line}.ts`)
}

/** So that the compiler counts lines as the document does. */
function onItsLine({ line, code }: Sample): string {
  return '\n'.repeat(line - 1) + code
}

function describe({ file, start = 0, code, messageText }: ts.Diagnostic): string {
  const message = `TS${code} ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
  if (file === undefined) return message
  const document = relative(root, file.fileName).replace(/#\d+\.ts$/, '')
  return `${document}:${file.getLineAndCharacterOfPosition(start).line + 1}: ${message}`
}
