import { execFile } from 'node:child_process'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as library from '../../src/index.ts'
import { makeConsumer, pack } from '../../tools/pack.ts'
import { root } from '../../tools/tracked.ts'
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
  async function output(name: string, code: string): Promise<string> {
    const { stdout, stderr } = await run(process.execPath, [script(name, code)])
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

  test('there is one copy: a plugin that was imported fits a handler that was required (F20)', async () => {
    const code = `
      const { LogoutHandler, KeyvCachePlugin } = require('msal-keyv')
      const { Keyv } = require('keyv')
      import('msal-keyv').then((imported) => {
        const plugin = new imported.KeyvCachePlugin({ store: new Keyv(), clientId: 'app' })
        new LogoutHandler(plugin, { issuer: 'https://idp.example' })
        console.log(imported.KeyvCachePlugin === KeyvCachePlugin)
      })`
    expect(await output('both.cjs', code)).toBe('true')
  })

  test('holds code once, no source maps and nothing of the toolbox', () => {
    const files = globSync('**', { cwd: join(consumer, 'node_modules/msal-keyv'), withFileTypes: true })
    const names = files.filter((file) => file.isFile()).map(({ name }) => name)
    expect(names.filter((name) => /\.[cm]?[jt]s(\.map)?$/.test(name)).sort()).toEqual([
      'index.d.ts',
      'index.js',
    ])
    const code = readFileSync(join(consumer, 'node_modules/msal-keyv/dist/index.js'), 'utf8')
    expect(code).not.toContain('sourceMappingURL')
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
