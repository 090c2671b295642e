import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pack } from '../../tools/pack.ts'
import { completeProgram, installLine } from '../../tools/readme.ts'
import { root } from '../../tools/tracked.ts'
import { freePort } from '../support/free-port.ts'
import { ended, makeFolder, missingProgram, removeFolder } from '../support/programs.ts'
import { RedisServer } from '../support/redis-server.ts'
import { answers, npm, typeCheck } from './newcomer.ts'

/** A newcomer's first minutes: an empty project, README's line, something else, README's program. */
describe.skipIf(missingProgram('redis-server'))('what README.md says', () => {
  let folder: string
  let project: string
  let tarball: string
  let readme: string
  let redis: RedisServer

  beforeAll(async () => {
    readme = await readFile(join(root, 'README.md'), 'utf8')
    folder = await makeFolder()
    tarball = await pack(folder)
    project = join(folder, 'project')
    await mkdir(project)
    await writeFile(join(project, 'package.json'), '{ "private": true, "type": "module" }')
    redis = await RedisServer.start()
  })
  afterAll(async () => {
    await redis?.stop()
    await removeFolder(folder)
  })

  test('installs, lets something else be installed afterwards, type-checks and runs', async () => {
    const [, , ...packages] = installLine(readme).split(' ')
    await npm(project, 'install', ...packages.map((name) => (name === 'msal-keyv' ? tarball : name)))

    // Without a lock file's help, as in a container: the ranges alone must fit each other.
    await npm(project, 'install', 'express@5', 'express-session@1')
    await writeFile(join(project, 'app.ts'), completeProgram(readme))
    await typeCheck(project)
    await npm(project, 'ls')

    const port = await freePort()
    const app = await start(port)
    try {
      const login = await fetch(`http://localhost:${port}/login`, { redirect: 'manual' })
      const location = new URL(login.headers.get('location') ?? '')
      expect(location.host).toBe('login.microsoftonline.com')
      expect([...location.searchParams.keys()]).toEqual(
        expect.arrayContaining(['client_id', 'scope', 'state', 'nonce', 'code_challenge']),
      )
      const home = await fetch(`http://localhost:${port}/`, { redirect: 'manual' })
      expect(home.headers.get('location')).toBe('/login')
      const callback = await fetch(`http://localhost:${port}/logout-callback?sid=unknown`)
      expect(callback.status).toBe(200)
    } finally {
      app.kill()
      await ended(app)
    }
  }, 300_000)

  /** Resolves once it answers; fails with what it printed if it ends before. */
  async function start(port: number): Promise<ChildProcess> {
    const tenant = '7e4a4700-0000-4000-8000-00000000047e'
    const env = {
      CLIENT_ID: 'app',
      CLIENT_SECRET: 'not a secret',
      TENANT_ID: tenant,
      SESSION_SECRET: 'not one',
    }
    const app = spawn(process.execPath, ['app.ts'], {
      cwd: project,
      env: { ...process.env, ...env, REDIS_URL: redis.url, PORT: `${port}` },
    })
    let printed = ''
    app.stderr.on('data', (chunk) => {
      printed += chunk
    })
    const ended = () => (app.exitCode === null ? undefined : `the program ended:\n${printed}`)
    await answers(`http://localhost:${port}/`, ended)
    return app
  }
})

test('a README without the line or the program is an error', () => {
  expect(() => installLine('npm install\n')).toThrow('install line')
  expect(() => installLine('npm install msal-keyv\nnpm install msal-keyv\n')).toThrow('install line')
  expect(() => completeProgram('```ts\n1\n```\n')).toThrow('program marker')
})
