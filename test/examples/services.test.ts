import { join } from 'node:path'
import KeyvRedis from '@keyv/redis'
import { generateKeyPair } from 'jose'
import { Keyv } from 'keyv'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, onTestFailed, test } from 'vitest'
import { generateEncryptionKey, KeyvCachePlugin } from '../../src/index.ts'
import { freePort } from '../support/free-port.ts'
import { missingProgram } from '../support/programs.ts'
import { RedisServer } from '../support/redis-server.ts'
import { type RunningApp, runScript, startApp } from './running-app.ts'
import { TokenService } from './token-service.ts'

const examples = inject('examples')
const clientId = 'service'
const encryptionKeys = [generateEncryptionKey()]

describe.skipIf(missingProgram('redis-server', 'openssl'))('the example', () => {
  let redis: RedisServer
  let service: TokenService
  let environment: Record<string, string>

  beforeAll(async () => {
    redis = await RedisServer.start({ appendOnly: true })
    service = await TokenService.start()
    environment = {
      CLIENT_ID: clientId,
      CLIENT_SECRET: 'not a secret',
      ...service.environment,
      REDIS_URL: redis.url,
      TOKEN_CACHE_KEYS: JSON.stringify(encryptionKeys),
    }
  })
  afterAll(async () => {
    await service?.close()
    await redis?.stop()
  })
  beforeEach(() => redis.command('FLUSHALL'))

  describe('web-api', () => {
    const folder = join(examples, 'web-api')
    let api: RunningApp

    beforeAll(async () => {
      api = await startApp(folder, await freePort(), environment)
    })
    afterAll(() => api?.stop())
    beforeEach(() => {
      onTestFailed(() => console.error(api.output()))
    })

    test('type-checks', () => runScript(folder, 'types'))

    test('calls another API on behalf of its caller, with a token that the cache keeps', async () => {
      const before = service.grants.length
      const token = await service.token({ sub: 'alice', aud: clientId, scp: 'access_as_user' })
      expect(await call(token)).toEqual({ status: 200, body: { caller: 'alice' } })
      expect(await call(token)).toEqual({ status: 200, body: { caller: 'alice' } })
      expect(service.grants.slice(before)).toEqual(['urn:ietf:params:oauth:grant-type:jwt-bearer'])
      const bobs = await service.token({ sub: 'bob', aud: clientId, scp: 'other access_as_user' })
      expect(await call(bobs)).toEqual({ status: 200, body: { caller: 'bob' } })
    })

    test('takes no token that is not for it', async () => {
      const right = { sub: 'alice', aud: clientId, scp: 'access_as_user' }
      const tokens = {
        'of another signer': service.token(right, await generateKeyPair('RS256')),
        'for another API': service.token({ ...right, aud: 'another' }),
        'of another provider': service.token({ ...right, iss: 'https://op.example' }),
        'without the scope': service.token({ ...right, scp: 'other' }),
        'of an application': service.token({ sub: 'app', aud: clientId, roles: ['all'] }),
        'that is none': Promise.resolve('token'),
      }
      for (const [what, token] of Object.entries(tokens))
        expect((await call(await token)).status, what).toBe(401)
      expect((await fetch(`${api.url}/me`)).headers.get('www-authenticate')).toContain('Bearer')
      expect(await redis.command('DBSIZE')).toBe(0)
    })

    test('refuses a token from before its owner’s eviction', async () => {
      const iat = Math.floor(Date.now() / 1000) - 60
      const claims = { sub: 'alice', aud: clientId, scp: 'access_as_user' }
      const token = await service.token({ ...claims, iat })
      expect((await call(token)).status).toBe(200)

      const store = new Keyv(new KeyvRedis(redis.url), { namespace: '', useKeyPrefix: false })
      const plugin = new KeyvCachePlugin({ store, clientId, encryptionKeys })
      await plugin.evictAccount('alice')
      await store.disconnect()
      expect((await call(token)).status).toBe(401)
      expect((await call(await service.token({ ...claims, iat: iat + 120 }))).status).toBe(200)
    })

    test('answers 503 while the store is down', async () => {
      const token = await service.token({ sub: 'alice', aud: clientId, scp: 'access_as_user' })
      expect((await call(token)).status).toBe(200)
      await redis.kill()
      try {
        expect((await call(token)).status).toBe(503)
      } finally {
        await redis.restart()
      }
      while ((await call(token)).status === 503) await new Promise((resolve) => setTimeout(resolve, 50))
      expect((await call(token)).status).toBe(200)
    })

    async function call(token: string): Promise<{ status: number; body: unknown }> {
      const response = await fetch(`${api.url}/me`, { headers: { authorization: `Bearer ${token}` } })
      return { status: response.status, body: await response.json() }
    }
  })

  describe('app-job', () => {
    const folder = join(examples, 'app-job')

    test('type-checks', () => runScript(folder, 'types'))

    test('calls an API as itself; the next run finds the token in the store', async () => {
      const before = service.grants.length
      expect(await runScript(folder, 'start', environment)).toContain(
        "With a new token: { caller: 'service' }",
      )
      expect(await runScript(folder, 'start', environment)).toContain(
        "With a stored token: { caller: 'service' }",
      )
      expect(service.grants.slice(before)).toEqual(['client_credentials'])
    })

    test('fails loudly without its store', async () => {
      await redis.kill()
      try {
        await expect(runScript(folder, 'start', environment)).rejects.toThrow()
      } finally {
        await redis.restart()
      }
    })
  })
})
