import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { programWith, type Step, stepsOf } from '../../tools/getting-started.ts'
import { pack } from '../../tools/pack.ts'
import { installLine } from '../../tools/readme.ts'
import { root } from '../../tools/tracked.ts'
import { freePort } from '../support/free-port.ts'
import { HttpBrowser } from '../support/http-browser.ts'
import { makeFolder, missingProgram, removeFolder } from '../support/programs.ts'
import { answers, QUIET_NPM, typeCheck } from './newcomer.ts'

const page = await readFile(join(root, 'docs/getting-started.md'), 'utf8')
const readme = await readFile(join(root, 'README.md'), 'utf8')

describe.skipIf(missingProgram('openssl'))('docs/getting-started.md, any OpenID provider', () => {
  let folder: string
  let shell: ChildProcess
  let output = ''
  let tarball: string
  let ports: Readonly<Record<string, number>>
  const trusted = getCACertificates('default')

  beforeAll(async () => {
    folder = await makeFolder()
    tarball = await pack(folder)
    ports = { 3000: await freePort(), 4000: await freePort() }
    // One shell for all commands, as a newcomer has it, and a process group of its own, to be ended with its children.
    shell = spawn('sh', ['-e'], {
      cwd: folder,
      detached: true,
      env: {
        ...process.env,
        ...QUIET_NPM,
        PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
      },
    })
    for (const stream of [shell.stdout, shell.stderr]) stream?.on('data', (chunk) => (output += chunk))
  }, 120_000)
  afterAll(async () => {
    setDefaultCACertificates(trusted)
    if (shell?.pid !== undefined && shell.exitCode === null) {
      const closed = once(shell, 'close')
      process.kill(-shell.pid, 'SIGKILL')
      await closed
    }
    await removeFolder(folder)
  })

  test('is executed literally, to a sign-in and a sign-out at the provider', async () => {
    const project = join(folder, 'my-app')
    const steps = stepsOf(page, 'Any OpenID provider')
    const commands = steps.filter(({ language }) => language === 'sh').map(here)
    const start = commands.pop() ?? ''
    expect(start).toContain('node app.ts')
    for (const command of commands) await execute(command)
    await writeFile(join(project, 'provider.js'), here(only(steps, 'js')))
    await writeFile(join(project, 'app.ts'), here({ code: programWith(only(steps, 'ts').code, readme) }))
    await typeCheck(project)

    // A browser that has been told to go on.
    const certificate = await readFile(join(project, 'certificate.pem'), 'utf8')
    setDefaultCACertificates([...trusted, certificate])
    shell.stdin?.write(start)
    const app = `http://localhost:${ports[3000]}`
    const provider = `https://localhost:${ports[4000]}`
    await Promise.all([app, provider].map((url) => answers(`${url}/`, ended)))

    const browser = new HttpBrowser()
    const login = await browser.get(app)
    expect(login.url).toContain(`${provider}/interaction/`)
    const consent = await browser.submit(login, { login: 'alice', password: 'any' })
    const home = await browser.submit(consent, {})
    expect(home).toMatchObject({ url: `${app}/`, text: expect.stringMatching(/^A token of \d+ characters$/) })

    const question = await browser.get(`${provider}/session/end`)
    await browser.submit(question, { logout: 'yes' })
    const evicted = await browser.get(app)
    expect(evicted.url).toContain(`${provider}/interaction/`)
  }, 300_000)

  /** What cannot be the same here: the library, which is not published yet, and the ports, which may be taken. */
  function here({ code }: Pick<Step, 'code'>): string {
    const local = code.replace(/\b(?:3000|4000)\b/g, (port) => `${ports[port]}`)
    return local.replace('npm install msal-keyv ', `npm install ${tarball} `)
  }

  /** Types a command in, and waits until it has succeeded. */
  async function execute(command: string): Promise<void> {
    const begin = output.length
    shell.stdin?.write(`${command}echo "that was ""it"\n`)
    while (!output.slice(begin).includes('that was it')) {
      if (shell.exitCode !== null) throw new Error(ended())
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  function ended(): string | undefined {
    return shell.exitCode === null ? undefined : `the commands failed:\n${output}`
  }
})

describe('docs/getting-started.md', () => {
  test("installs what README's line installs", () => {
    const [, install = ''] = stepsOf(page, 'Entra ID')
      .flatMap(({ code }) => code.split('\n'))
      .filter((line) => /^(?:mkdir|npm install msal-keyv)/.test(line))
    expect(install).toBe(installLine(readme))
  })

  test('a page without the path, or a README without its routes, is an error', () => {
    expect(() => stepsOf('## Entra ID\n', 'Entra ID')).toThrow('no code')
    expect(() => programWith('', readme.replace('const app = express()', ''))).toThrow('exactly one')
  })
})

function only(steps: readonly Step[], language: string): Step {
  const [step, ...more] = steps.filter((each) => each.language === language)
  if (step === undefined || more.length > 0) throw new Error(`not exactly one block of ${language}`)
  return step
}
