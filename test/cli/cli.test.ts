import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import {
  ConfidentialClients,
  generateEncryptionKey,
  type HostSession,
  type KeyvLike,
} from '../../src/index.ts'
import { CLIENT_ID, EntraStandIn } from '../support/entra.ts'
import { mutantLibrary } from '../support/mutant-library.ts'
import { closeStore, openStore, type StoreAddress } from '../support/open-store.ts'
import { PostgresServer } from '../support/postgres-server.ts'
import { makeFolder, missingProgram, removeFolder } from '../support/programs.ts'
import { RedisServer } from '../support/redis-server.ts'

const ROOT = new URL('../..', import.meta.url).pathname
const MAIN = join(ROOT, 'src/cli/main.ts')
const STORE_TIMEOUT = 20_000

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs the command, as a person does. */
function run(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd = ROOT,
  main = MAIN,
): Promise<Ran> {
  const all = ['--no-warnings', main, ...args]
  return new Promise((resolve) => {
    execFile(process.execPath, all, { cwd, env: { PATH: '', ...env }, timeout: 60_000 }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out: out.trim(), err: err.trim() }),
    )
  })
}

describe('keys generate', () => {
  test('prints what encryptionKeys takes', async () => {
    const { code, out } = await run(['keys', 'generate'])
    expect(code).toBe(0)
    const store = { getRaw() {}, getMany() {}, set() {}, delete() {}, on() {} } as unknown as KeyvLike
    const encryptionKeys = JSON.parse(out)
    const entra = new EntraStandIn({ size: 'small' })
    expect(() => new ConfidentialClients(entra.configuration(), { store, encryptionKeys })).not.toThrow()
    expect(JSON.parse((await run(['keys', 'generate', '--json'])).out)).toMatchObject({
      exitCode: 0,
      keys: [{}],
    })
  })
})

describe('wrong usage is 64, does nothing, and quotes no secret', () => {
  const client = ['--client-id', 'app']
  const redis = ['--store', 'redis://127.0.0.1:1']
  test.each([
    ['no command', [], /^the command must be/],
    ['another command', ['logout'], /^the command must be/],
    ['an unknown option', ['check', '--password', 'secret'], /--password/],
    ['no client id', ['check', ...redis], /^--client-id is missing/],
    ['no store', ['check', ...client], /^--store is missing/],
    ['another store', ['check', ...client, '--store', 'mongodb://host'], /^--store must be/],
    [
      'a password for all to see',
      ['check', ...client, '--store', 'redis://:secret@host'],
      /set MSAL_KEYV_STORE/,
    ],
    ['a file that is not there', ['check', ...client, '--store', 'sqlite:none.sqlite'], /^there is no file/],
    ['nobody', ['evict', ...client, ...redis], /^evict takes/],
    ['two', ['evict', 'a', 'b', ...client, ...redis], /^evict takes/],
    ['half a user', ['evict', '--tenant', 'a', ...client, ...redis], /^evict takes/],
    ['an id that cannot be one', ['evict', 'alice ', ...client, ...redis], /homeAccountId/],
    [
      'a user who cannot be one',
      ['evict', '--tenant', 'a', '--object-id', 'b', ...client, ...redis],
      /tenantId/,
    ],
  ])('%s', async (_, args, message) => {
    const { code, err, out } = await run(args)
    expect({ code, err }).toEqual({ code: 64, err: expect.stringMatching(message) })
    expect(err + out).not.toContain('secret')
  })

  test('keys that are none', async () => {
    const env = { MSAL_KEYV_ENCRYPTION_KEYS: 'secret' }
    const { code, err } = await run(['check', ...client, ...redis], env)
    expect({ code, err }).toEqual({ code: 64, err: expect.stringMatching(/^encryptionKeys must be/) })
  })

  test('a package that is not in the working directory', async () => {
    const folder = await makeFolder()
    const { code, err } = await run(['check', ...client, ...redis], {}, folder)
    expect({ code, err }).toEqual({ code: 64, err: expect.stringMatching(/^keyv is not installed here/) })
    await removeFolder(folder)
  })
})

interface Place {
  readonly address: StoreAddress
  readonly url: string
  stop(): Promise<void>
}

const places: Record<string, () => Promise<Place>> = {
  async SQLite() {
    const folder = await makeFolder()
    const file = join(folder, 'tokens.sqlite')
    return { address: { kind: 'sqlite', file }, url: `sqlite:${file}`, stop: () => removeFolder(folder) }
  },
  async Redis() {
    const server = await RedisServer.start()
    return { address: { kind: 'redis', url: server.url }, url: server.url, stop: () => server.stop() }
  },
  async PostgreSQL() {
    const server = await PostgresServer.start()
    return { address: { kind: 'postgres', uri: server.uri }, url: server.uri, stop: () => server.stop() }
  },
}
const isMissing = missingProgram('redis-server', 'initdb', 'postgres')

describe.skipIf(isMissing).each(Object.keys(places))('beside an application that runs on %s', (name) => {
  const entra = new EntraStandIn({ size: 'small' })
  const encryptionKeys = [generateEncryptionKey()]
  const keySecret = 'a secret of sixteen bytes'
  const env = { MSAL_KEYV_ENCRYPTION_KEYS: JSON.stringify(encryptionKeys), MSAL_KEYV_KEY_SECRET: keySecret }
  let place: Place
  let keyv: KeyvLike
  let msal: ConfidentialClients
  beforeAll(async () => {
    place = await (places[name] as () => Promise<Place>)()
    keyv = await openStore(place.address)
    const options = { store: keyv, encryptionKeys, keySecret, namespace: 'emea', storeTimeout: STORE_TIMEOUT }
    msal = new ConfidentialClients(entra.configuration(), options)
  })
  afterAll(async () => {
    await closeStore(keyv)
    await place.stop()
  })

  const flags = () => ['--store', place.url, '--client-id', CLIENT_ID, '--namespace', 'emea']
  const signIn = async (): Promise<HostSession> => (await entra.enter(msal, entra.user())).session

  test('check', async () => {
    const { code, out } = await run(['check', ...flags()])
    expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/^check .*\nit is supported/) })
  })

  test('evict: that account is signed out in the application that runs, and nobody else', async () => {
    const [session, other] = [await signIn(), await signIn()]
    const { code, out, err } = await run(['evict', session.homeAccountId, ...flags()], env)
    expect({ code, out, err }).toEqual({
      code: 0,
      out: expect.stringMatching(/^evict from .*\nevicted: 1 account$/),
      err: '',
    })
    expect(out).not.toContain(session.homeAccountId)
    expect(await msal.plugin.isSignedIn(session)).toBe(false)
    expect(await msal.plugin.isSignedIn(other)).toBe(true)
    const again = await run(['evict', session.homeAccountId, '--json', ...flags()], env)
    expect({ ...again, out: JSON.parse(again.out) }).toEqual({
      code: 1,
      out: { exitCode: 1, accounts: 1, found: 0, unreadable: 0 },
      err: '',
    })
  })

  test('evict --tenant --object-id', async () => {
    const session = await signIn()
    const [objectId = '', tenant = ''] = session.homeAccountId.split('.')
    const args = ['evict', '--tenant', tenant, '--object-id', objectId, ...flags()]
    expect(await run(args, env)).toMatchObject({ code: 0 })
    expect(await msal.plugin.isSignedIn(session)).toBe(false)
    expect(await run(args, env)).toMatchObject({ code: 1 })
  })

  test('without the keys an account is evicted, and it is not said that a user was not found', async () => {
    const session = await signIn()
    const { MSAL_KEYV_ENCRYPTION_KEYS: _, ...others } = env
    const [objectId = '', tenant = ''] = session.homeAccountId.split('.')
    const args = ['evict', '--tenant', tenant, '--object-id', objectId, ...flags()]
    const { code, err } = await run(args, others)
    expect({ code, err }).toEqual({
      code: 2,
      err: expect.stringMatching(/^not confirmed: .*ENCRYPTION_KEYS/),
    })
    const broken = await mutantLibrary('command: unreadable taken for nobody', 'withPlugin')
    onTestFinished(() => broken.remove())
    expect(await run(args, others, ROOT, fileURLToPath(broken.url))).toMatchObject({ code: 1 })
    expect(await run(['evict', session.homeAccountId, ...flags()], others)).toMatchObject({ code: 0 })
    expect(await msal.plugin.isSignedIn(session)).toBe(false)
  })

  test('a store that is down is 2', async () => {
    if (name === 'SQLite') return
    const session = await signIn()
    const url = place.url.replace(/:\d+/, ':1')
    const { code, err } = await run(['evict', session.homeAccountId, ...flags().with(1, url)], env)
    expect({ code, err }).toEqual({ code: 2, err: expect.stringMatching(/^not confirmed: /) })
    expect(err).not.toContain(session.homeAccountId)
    expect(await msal.plugin.isSignedIn(session)).toBe(true)
  })
})
