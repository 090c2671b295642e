import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AuthError, ClientAuthError, InteractionRequiredAuthError, ServerError } from '@azure/msal-node'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { root, trackedFiles } from '../tools/tracked.ts'
import * as library from './support/all-doors.ts'
import { runSample, sampleUnder } from './support/run-sample.ts'

const PAGE = 'docs/troubleshooting.md'
const page = read(PAGE)

describe('docs/troubleshooting.md is complete', () => {
  const classes = Object.keys(library).filter((name) => name.endsWith('Error'))
  test.each(classes)('it explains %s', (name) => {
    expect(page).toContain(`\`${name}\``)
  })

  const codes = [...read('src/errors.ts').matchAll(/^ {2}\| '(ERR_\w+)'$/gm)].map(([, code = '']) => code)
  test.each(codes)('it has a heading or a row for %s', (code) => {
    expect(page).toMatch(new RegExp(`^### ${code}$`, 'm'))
    expect(rowsUnder('Which status to answer').flat()).toContain(`\`${code}\``)
  })

  test('it has every error of an authorization response that is ours', () => {
    const source = read('src/clients/sign-in.ts')
    const own = [...source.matchAll(/new AuthorizationResponseError\('(\w+)'\)/g)].map(
      ([, name = '']) => name,
    )
    expect(own).toContain('no_pending_sign_in')
    const explained = rowsUnder('ERR_AUTHORIZATION_RESPONSE').map(([name]) => name)
    for (const name of own) expect(explained.join()).toContain(`\`${name}\``)
  })

  test('the messages that it quotes are those of the library', () => {
    const known = messagesOf('ConfigurationError').map(({ text }) => text)
    const quoted = rowsUnder('ERR_CONFIGURATION')
      .flatMap(([messages = '']) => messages.split('; '))
      .flatMap((message) => message.split('…').map((part) => part.trim()))
    expect(quoted.length).toBeGreaterThan(20)
    expect(quoted.filter((part) => !known.some((text) => text.includes(part)))).toEqual([])
  })

  test('the codes of MSAL that it names are those of MSAL, or of OAuth', () => {
    const oauth = ['invalid_grant', 'invalid_client', 'invalid_scope', 'unauthorized_client']
    const sources = ['@azure/msal-common', '@azure/msal-node'].flatMap((name) =>
      globSync(`node_modules/${name}/dist/error/*.mjs`, { cwd: root }),
    )
    const msal = sources.map(read).join()
    const named = rowsUnder('Errors of MSAL and the provider').flatMap(([codes = '']) => inCode(codes))
    expect(named).toContain('no_tokens_found')
    expect(named.filter((code) => !oauth.includes(code) && !msal.includes(`"${code}"`))).toEqual([])
  })
})

describe('every ConfigurationError names its fix, or the page that does', () => {
  // A message that a caller passes on is looked at where it is written.
  const messages = messagesOf('ConfigurationError').filter(({ text }) => text !== '…')

  test('they are found in src', () => {
    expect(messages.length).toBeGreaterThan(60)
  })

  test.each(messages)('$file: $text', ({ text }) => {
    expect(text).toMatch(FIX)
  })

  test('a message without a fix is found', () => {
    expect('options hold an unknown member').not.toMatch(FIX)
  })
})

/** What must hold, what to do after a colon or semicolon, or where to read. */
const FIX =
  /\bmust\b|\bneeds\b|[:;](?: \w+,?){0,8}? (?:pass|use|call|ask|make|leave|remove|keep|give|sign|evict|wrap|have|update|see|acquire)\b|pass either|\. (?:Use|To)\b/

describe('the table of statuses', () => {
  const rows = rowsUnder('Which status to answer').map(([error = '', , status = '']) => ({
    name: inCode(error)[0] ?? error,
    status,
  }))

  test('has a row for each kind', () => {
    expect(rows.map(({ name }) => name)).toEqual(Object.keys(errorsOf(library)))
  })

  test.each(rows)('$name: the function of the page says $status', async ({ name, status }) => {
    const { statusOf, errors } = await sample
    expect(errors[name]).not.toHaveLength(0)
    for (const error of errors[name] ?? []) {
      const expected = status.startsWith('its `status`')
        ? (error as { status: number }).status
        : Number(status)
      expect(statusOf(error)).toBe(expected)
    }
  })

  /** The function, and errors of the library as it imports that. */
  const sample = (async () => {
    const begin = 'export function statusOf'
    const together = {
      [begin]: `import * as own from '${join(root, 'test/support/all-doors.ts')}'\n${begin}`,
    }
    const { statusOf, own } = await runSample<{ statusOf(error: unknown): number; own: typeof library }>(
      sampleUnder(PAGE, '## Which status to answer'),
      together,
      ['statusOf', 'own'],
    )
    return { statusOf, errors: errorsOf(own) }
  })()
})

/** Some of each kind, in the order of the table. */
function errorsOf(own: typeof library): Record<string, unknown[]> {
  const cause = new own.StoreUnavailableError('write', { timedOut: true })
  return {
    AuthorizationResponseError: [new own.AuthorizationResponseError('access_denied')],
    InteractionRequiredAuthError: [new InteractionRequiredAuthError('no_tokens_found', '')],
    ServerError: [new ServerError('invalid_grant', '')],
    AuthenticationRequiredError: [
      new own.AuthenticationRequiredError({ scopes: [], claims: undefined, cause }),
    ],
    AccountEvictedError: [new own.AccountEvictedError()],
    StoreUnavailableError: [cause],
    EvictionError: [new own.EvictionError({ fenced: false, cause })],
    ClientAuthError: [
      new ClientAuthError('endpoints_resolution_error', ''),
      new ClientAuthError('network_error', ''),
    ],
    LogoutCallbackError: [
      new own.LogoutCallbackError('no'),
      new own.LogoutCallbackError('no', { status: 405 }),
    ],
    GraphNotificationError: [new own.GraphNotificationError('no'), new own.GraphNotificationError('no', 405)],
    ConfigurationError: [new own.ConfigurationError('no')],
    TypeError: [new TypeError('no')],
    'any other error of MSAL': [new AuthError('invalid_client', '')],
  }
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

/** The cells of the first table under a heading, without its head. */
function rowsUnder(heading: string): string[][] {
  const section = page.split(new RegExp(`^#+ ${heading}$`, 'm'))[1] ?? ''
  const [table = ''] = section.match(/(?:^\|.*\n)+/m) ?? []
  const [, , ...lines] = table.trim().split('\n')
  if (lines.length === 0) throw new Error(`${PAGE} has no table under ${heading}`)
  return lines.map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  )
}

function inCode(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)
}

/** The messages of an error that src throws, with `…` for what is filled in. */
function messagesOf(error: string): { file: string; text: string }[] {
  return trackedFiles('src/**/*.ts').flatMap((file) => {
    const source = ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest)
    const found: { file: string; text: string }[] = []
    const visit = (node: ts.Node): void => {
      if (ts.isNewExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === error) {
        const [message] = node.arguments ?? []
        if (message !== undefined) found.push({ file, text: textOf(message) })
      }
      ts.forEachChild(node, visit)
    }
    visit(source)
    return found
  })
}

function textOf(node: ts.Expression): string {
  if (ts.isStringLiteralLike(node)) return node.text
  if (ts.isBinaryExpression(node)) return textOf(node.left) + textOf(node.right)
  if (ts.isTemplateExpression(node)) {
    return node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join('')
  }
  return '…'
}
