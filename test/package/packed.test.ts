import { execFile } from 'node:child_process'
import { globSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as library from '../../src/index.ts'
import { doors, entries } from '../../tools/api/doors.ts'
import { makeConsumer, pack } from '../../tools/pack.ts'
import { root } from '../../tools/tracked.ts'
import { claims, sign, signingKey } from '../logout/provider.ts'
import { makeFolder, removeFolder } from '../support/programs.ts'

const run = promisify(execFile)
const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  engines: { node: string }
}

describe('the packed library', () => {
  let folder: string
  let consumer: string

  beforeAll(async () => {
    folder = await makeFolder()
    consumer = await makeConsumer(await pack(folder), join(folder, 'consumer'))
  })
  afterAll(() => removeFolder(folder))

  function script(name: string, code: string): string {
    writeFileSync(join(consumer, name), code)
    return join(consumer, name)
  }

  /** What a script in the consumer's folder prints. */
  async function output(name: string, code: string, ...args: readonly string[]): Promise<string> {
    const { stdout, stderr } = await run(process.execPath, [script(name, code), ...args])
    expect(stderr).toBe('')
    return stdout.trim()
  }

  test('import has what src exports', async () => {
    const code = "import * as library from 'msal-keyv'; console.log(JSON.stringify(Object.keys(library)))"
    expect(JSON.parse(await output('import.mjs', code))).toEqual(Object.keys(library).sort())
  })

  test('require has the same, without a warning', async () => {
    const code = "console.log(JSON.stringify(Object.keys(require('msal-keyv'))))"
    expect(JSON.parse(await output('require.cjs', code))).toEqual(Object.keys(library).sort())
  })

  test('a plugin that was imported fits a handler that was required, and errors of both are known (F20)', async () => {
    const code = `
      const { LogoutHandler, KeyvCachePlugin, ConfigurationError } = require('msal-keyv')
      const { Keyv } = require('keyv')
      import('msal-keyv').then((imported) => {
        const plugin = new imported.KeyvCachePlugin({ store: new Keyv(), clientId: 'app' })
        new LogoutHandler(plugin, { issuer: 'https://idp.example' })
        const error = new imported.ConfigurationError('it')
        console.log(imported.KeyvCachePlugin !== KeyvCachePlugin && error instanceof ConfigurationError)
      })`
    expect(await output('both.cjs', code)).toBe('true')
  })

  test.each(Object.keys(doors))('%s has the same for import and for require', async (door) => {
    const code = `import('${door}').then((it) => console.log(Object.keys(it).sort().join()))`
    const required = `console.log(Object.keys(require('${door}')).sort().join())`
    expect(await output('door.mjs', code)).toBe(await output('door.cjs', required))
  })

  test.each([
    ['import', 'host.mjs', (name: string) => `import * as it from '${name}';`],
    ['require', 'host.cjs', (name: string) => `const it = require('${name}');`],
  ])("a host that uses %s gets errors of its own MSAL's classes (R1)", async (_, file, load) => {
    const code = `${load('msal-keyv')}
      ${load('@azure/msal-node').replace(/\bit\b/, 'msal')}
      ${load('keyv').replace(/\bit\b/, 'keyv')}
      const auth = { clientId: 'app', clientSecret: 'not a secret' }
      const clients = new it.ConfidentialClients({ auth }, { store: new keyv.Keyv() })
      clients.acquireTokenSilent({ homeAccountId: 'nobody' }, { scopes: ['User.Read'] }).catch((error) => {
        console.log(error instanceof msal.InteractionRequiredAuthError, error.errorCode)
      })`
    expect(await output(file, code)).toBe('true no_tokens_found')
  })

  test.each([
    ['import', 'logout.mjs', "const it = await import('msal-keyv'); const { Keyv } = await import('keyv');"],
    ['require', 'logout.cjs', "const it = require('msal-keyv'); const { Keyv } = require('keyv');"],
  ])(
    'a host that uses %s verifies a logout token, whose code is loaded with the first one',
    async (_, file, load) => {
      const key = await signingKey('key-1')
      const now = Math.floor(Date.now() / 1000)
      const token = await sign(key, claims({ iat: now, exp: now + 120 }))
      const code = `${load}
      const plugin = new it.KeyvCachePlugin({ store: new Keyv(), clientId: 'client' })
      const logout = new it.LogoutHandler(plugin, { issuer: 'https://op.example', jwks: { keys: [${JSON.stringify(key.jwk)}] } })
      const body = new URLSearchParams({ logout_token: process.argv[2] })
      logout.handle(new Request('https://rp.example/logout', { method: 'POST', body })).then(
        (outcome) => console.log(outcome.result),
        (error) => console.log(error),
      )`
      expect(await output(file, code, token)).toBe('unknown-session')
    },
  )

  test('holds no source maps and nothing of the toolbox, and takes 950 kB at most', () => {
    const folder = join(consumer, 'node_modules/msal-keyv')
    const files = globSync('**', { cwd: folder, withFileTypes: true }).filter((file) => file.isFile())
    const code = files.map(({ name }) => name).filter((name) => /\.[cm]?[jt]s(\.map)?$/.test(name))
    const built = [
      'cli.js',
      ...Object.keys(entries()).flatMap((name) => [
        `${name}.js`,
        `${name}.cjs`,
        `${name}.d.ts`,
        `${name}.d.cts`,
      ]),
    ]
    expect(code).toEqual(expect.arrayContaining(built))
    // What doors share.
    const others = code.filter((name) => !built.includes(name))
    expect(others.filter((name) => !/-[\w-]{8}\.(js|cjs|d\.ts|d\.cts)$/.test(name))).toEqual([])
    const text = readFileSync(join(folder, 'dist/index.js'), 'utf8')
    expect(text).not.toContain('sourceMappingURL')
    const size = files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)
    expect(size).toBeLessThanOrEqual(950_000)
  })

  test.each([
    ['import', 'old.mjs', "import 'msal-keyv'"],
    ['require', 'old.cjs', "require('msal-keyv')"],
  ])('%s on a Node that is too old fails with the version that is needed', async (_, name, code) => {
    const node = await oldNode()
    const message = await run(node, [script(name, code)]).then(
      () => 'no failure',
      (error: { stderr: string }) => error.stderr,
    )
    expect(message).toMatch(/Error: msal-keyv needs Node\.js 22\.12 or later; this is 20\./)
    expect(engines.node).toBe('>=22.12')
  })
})

/** Node 20: one on the PATH, or else the one that npm brings. */
async function oldNode(): Promise<string> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const node = join(folder, 'node')
    const version = await run(node, ['--version']).then(
      ({ stdout }) => stdout,
      () => '',
    )
    if (version.startsWith('v20.')) return node
  }
  const args = ['exec', '--yes', '--package=node@20.20.2', '--', 'node', '-p', 'process.execPath']
  return (await run('npm', args)).stdout.trim()
}
