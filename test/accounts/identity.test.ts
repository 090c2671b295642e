import type { AuthenticationResult } from '@azure/msal-node'
import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import { KeyvCachePlugin } from '../../src/index.ts'

describe('home account ids', () => {
  const plugin = new KeyvCachePlugin({ store: new Keyv(), clientId: 'client' })
  const calls: [string, (id: never) => unknown][] = [
    ['forAccount', (id) => plugin.forAccount(id)],
    ['forAccount, as an object', (id) => plugin.forAccount({ homeAccountId: id })],
    ['isSignedIn', (id) => plugin.isSignedIn(id)],
    ['evictAccount', (id) => plugin.evictAccount(id)],
    [
      'openSession',
      (id) => plugin.openSession({ account: { homeAccountId: id } } as unknown as AuthenticationResult),
    ],
  ]
  const bad: [string, unknown][] = [
    ['empty', ''],
    ['a number', 7],
    ['undefined', undefined],
    ['null', null],
    ['too long', 'x'.repeat(1025)],
    ['with a control character', 'secret-id\u0000'],
    ['with a line break', 'secret-id\nx'],
    ['with white space in front', ' secret-id'],
    ['with white space behind', 'secret-id\u00a0'],
  ]
  test.each(calls.flatMap(([name, call]) => bad.map(([what, id]) => [name, what, call, id] as const)))(
    '%s: %s is a TypeError that does not quote it',
    async (_name, _what, call, id) => {
      const error: unknown = await (async () => call(id as never))().catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(TypeError)
      expect((error as Error).message).toMatch(/home ?account ?id/i)
      expect((error as Error).message).not.toContain('secret-id')
    },
  )

  test('a session without its generation, and a result without account, are refused', async () => {
    expect(() => plugin.forAccount({ homeAccountId: 'a', generation: '' })).toThrow(/generation/)
    await expect(plugin.openSession({ account: null } as AuthenticationResult)).rejects.toThrow(/result/)
    await expect(plugin.openSession(undefined as unknown as AuthenticationResult)).rejects.toThrow(TypeError)
  })
})
