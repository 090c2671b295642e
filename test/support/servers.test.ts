import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { promisify } from 'node:util'
import { createClient } from '@keyv/redis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { map } from '../contract/stores/map.ts'
import { postgres } from '../contract/stores/postgres.ts'
import { redis } from '../contract/stores/redis.ts'
import { redisCluster } from '../contract/stores/redis-cluster.ts'
import { sqlite } from '../contract/stores/sqlite.ts'
import { missingProgram, startOnFreePort, startServer } from './programs.ts'
import { RedisServer } from './redis-server.ts'

for (const store of [map, sqlite, redis, redisCluster, postgres]) {
  describe.skipIf(missingProgram(...store.programs))(store.name, () => {
    beforeAll(() => store.start())
    afterAll(() => store.stop())

    test('what one connection writes and deletes, another one sees', async () => {
      const writer = await store.open()
      const reader = await store.open()
      const keys = ['mk1_{account}_p', 'mk1_{account}_g']
      expect(await reader.getMany(keys)).toEqual([undefined, undefined])

      expect(await writer.set('mk1_{account}_p', 'partition', 60_000)).toBe(true)
      expect(await writer.set('mk1_{account}_g', 'generation', 60_000)).toBe(true)
      expect(await reader.getMany(keys)).toEqual(['partition', 'generation'])

      expect(await writer.delete('mk1_{account}_p')).toBe(true)
      expect(await writer.delete('mk1_{account}_p')).toBe(false)
      expect(await reader.getMany(keys)).toEqual([undefined, 'generation'])
    })

    test.skipIf(store === map)('another process opens it by its address', async () => {
      const keyv = await store.open()
      await keyv.set('greeting', 'hello', 60_000)
      const output = await runModule(
        `import { openStore } from ${moduleUrl('./open-store.ts')}
        const keyv = await openStore(JSON.parse(process.argv[1]))
        process.stdout.write(await keyv.get('greeting'), () => process.exit())`,
        JSON.stringify(store.address()),
      )
      expect(output).toBe('hello')
    })
  })
}

describe.skipIf(missingProgram('redis-server'))('RedisServer', () => {
  test('pauses and resumes', async () => {
    const server = await startRedis()
    const client = await connectRedis(server, { socketTimeout: 100 })
    await client.set('key', 'value')

    server.pause()
    await expect(client.get('key')).rejects.toThrow('Socket timeout')
    server.resume()
    expect(await (await connectRedis(server)).get('key')).toBe('value')
  })

  test.each([
    { appendOnly: true, found: 'value' },
    { appendOnly: false, found: null },
  ])('comes back on its port after a crash, $appendOnly for its data', async ({ appendOnly, found }) => {
    const server = await startRedis({ appendOnly })
    const before = await connectRedis(server)
    await before.set('key', 'value')

    await server.kill()
    expect(await accepts(server.port)).toBe(false)
    await server.restart()
    expect(await (await connectRedis(server)).get('key')).toBe(found)
  })

  test('looks for another port if somebody has taken the one it chose', async () => {
    const ports = [(await startRedis()).port]
    const server = await startOnFreePort((free) =>
      startServer('redis-server', {
        args: ['--bind', '127.0.0.1', '--port', `${ports.shift() ?? free}`, '--save', ''],
        spawn: {},
        ready: 'Ready to accept connections',
        endSignal: 'SIGKILL',
      }),
    )
    expect(ports).toEqual([])
    server.kill('SIGKILL')
  })

  test('ends with the process that started it', async () => {
    const port = await runModule(
      `import { RedisServer } from ${moduleUrl('./redis-server.ts')}
      const { port } = await RedisServer.start()
      process.stdout.write(String(port), () => process.exit())`,
    )
    await expect.poll(() => accepts(Number(port))).toBe(false)
  })
})

describe('a program that is not installed', () => {
  test('skips the tests with a warning, but on CI it fails', () => {
    onTestFinished(() => {
      vi.unstubAllEnvs()
      vi.restoreAllMocks()
    })
    const warn = vi.spyOn(console, 'warn').mockReturnValue()
    vi.stubEnv('PATH', '')

    vi.stubEnv('CI', undefined)
    expect(missingProgram('redis-server')).toBe(true)
    expect(warn).toHaveBeenCalledWith(expect.stringContaining('apt-get install redis-server'))

    vi.stubEnv('CI', 'true')
    expect(() => missingProgram('redis-server')).toThrow('apt-get install redis-server')
  })
})

async function startRedis(options?: { appendOnly: boolean }): Promise<RedisServer> {
  const server = await RedisServer.start(options)
  onTestFinished(() => server.stop())
  return server
}

async function connectRedis(server: RedisServer, socket?: { socketTimeout: number }) {
  const client = createClient({ url: server.url, socket: { ...socket, reconnectStrategy: false } })
  client.on('error', () => {})
  await client.connect()
  onTestFinished(() => {
    if (client.isOpen) {
      client.destroy()
    }
  })
  return client
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

async function runModule(source: string, ...args: string[]): Promise<string> {
  const child = await promisify(execFile)(process.execPath, [
    '--input-type=module',
    '--eval',
    source,
    ...args,
  ])
  return child.stdout
}

function moduleUrl(path: string): string {
  return JSON.stringify(new URL(path, import.meta.url).href)
}
