import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { mutantLibrary } from '../support/mutant-library.ts'
import type { MutantName } from '../support/mutants.ts'
import { missingProgram } from '../support/programs.ts'
import { RedisCluster } from '../support/redis-cluster.ts'
import { RedisServer } from '../support/redis-server.ts'

const execute = promisify(execFile)
const DOOR = new URL('../../src/redis/index.ts', import.meta.url).href
/** What a process is given to end by itself; without what is tested it would never. */
const PATIENCE = 15_000

/** Runs a module that has `openRedisStore`, and returns what it prints. */
async function run(code: string, door = DOOR, before = ''): Promise<string> {
  const module = `${before}
    const { openRedisStore } = await import(${JSON.stringify(door)})
    ${code}`
  const args = ['--input-type=module', '--no-warnings', '--eval', module]
  const { stdout } = await execute(process.execPath, args, { timeout: PATIENCE, cwd: import.meta.dirname })
  return stdout.trim()
}

async function broken(name: MutantName): Promise<string> {
  const library = await mutantLibrary(name, 'openRedisStore')
  onTestFinished(() => library.remove())
  return library.url
}

test('without @keyv/redis, the first call says what to install', async () => {
  const before = `
    import { registerHooks } from 'node:module'
    registerHooks({
      resolve(name, context, next) {
        if (name !== '@keyv/redis') return next(name, context)
        throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' })
      },
    })`
  const code = `
    const { KeyvCachePlugin } = await import(${JSON.stringify(DOOR.replace('redis/index', 'index'))})
    const store = openRedisStore('redis://127.0.0.1:1')
    await new KeyvCachePlugin({ store, clientId: 'client' }).checkStore().catch((error) => console.log(error.code, error.message))`
  expect(await run(code, DOOR, before)).toBe(
    'ERR_CONFIGURATION openRedisStore needs @keyv/redis, which is missing: npm install @keyv/redis',
  )
})

describe.skipIf(missingProgram('redis-server'))('a process', () => {
  let server: RedisServer
  let cluster: RedisCluster
  beforeAll(async () => {
    server = await RedisServer.start()
    cluster = await RedisCluster.start()
  })
  afterAll(() => Promise.all([server.stop(), cluster.stop()]))

  const ofServer = () => JSON.stringify(server.url)
  const ofCluster = () => JSON.stringify({ url: cluster.urls, cluster: true })
  const useOnce = (options: string) => `
    const store = openRedisStore(${options})
    await store.set('key', 'value', 60_000)
    console.log(await store.getMany(['key']), process.listenerCount('SIGTERM'), process.listenerCount('SIGINT'))`

  test.each([
    ['a server', ofServer],
    ['a cluster', ofCluster],
  ] as const)('ends over an idle store of %s, which handles no signal', async (_, options) => {
    expect(await run(useOnce(options()))).toBe("[ 'value' ] 0 0")
  })

  test('waits for the call in flight', async () => {
    await server.command('SET', 'key', 'value')
    await server.command('CLIENT', 'PAUSE', '500', 'ALL')
    const code = `openRedisStore(${ofServer()}).delete('key').then(console.log)`
    expect(await run(code)).toBe('true')
  })

  test('that only makes a store, as a build does, connects to nothing', async () => {
    expect(await run("openRedisStore('redis://host.invalid'); console.log('built')")).toBe('built')
  })

  test('red: without that, it does not end, or ends too soon', async () => {
    const stays = expect.objectContaining({ killed: true })
    const ofOne = run(useOnce(ofServer()), await broken('Redis: sockets keep the process'))
    await expect(ofOne).rejects.toEqual(stays)
    const ofMany = run(useOnce(ofCluster()), await broken('Redis: a cluster keeps the process'))
    await expect(ofMany).rejects.toEqual(stays)
    await server.command('SET', 'key', 'value')
    const door = await broken('Redis: calls do not keep the process')
    await server.command('CLIENT', 'PAUSE', '2000', 'ALL')
    expect(await run(`openRedisStore(${ofServer()}).delete('key').then(console.log)`, door)).toBe('')
  })
})
