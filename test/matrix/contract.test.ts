import { Keyv } from 'keyv'
import { describe, expect, test } from 'vitest'
import type { HostSession } from '../../src/index.ts'
import * as library from '../../src/index.ts'
import { type Parts, scenarios } from './contract.ts'

/** What `npm run test:matrix` takes to other runtimes and versions runs here too, on this checkout. */
describe('the portable contract', () => {
  test.each(scenarios)('$name', ({ run }) => run(parts()))
})

describe('the portable contract finds', () => {
  test('an eviction whose generation record is not stored', async () => {
    const failed = await failures((right) => ({ ...right, elsewhere: without(right.elsewhere, 'set') }))
    expect(failed).toEqual(['an eviction holds against a write that is late'])
  })

  test('an eviction whose record is not deleted', async () => {
    const failed = await failures((right) => ({ ...right, here: without(right.here, 'delete') }))
    expect(failed).toContain('an eviction ends the sign-in in every process and leaves no token')
  })

  test('an eviction that does nothing', async () => {
    class Plugin extends library.KeyvCachePlugin {
      override async evictAccount(account: string | HostSession) {
        const homeAccountId = typeof account === 'string' ? account : account.homeAccountId
        return { homeAccountId, evictedAt: new Date(), existed: true }
      }
    }
    expect(await failures(withParts({ KeyvCachePlugin: Plugin }))).toEqual(
      expect.arrayContaining([
        'an eviction ends the sign-in in every process and leaves no token',
        'an eviction holds against a refresh in flight',
        'an eviction holds against a write that is late',
        'a new sign-in works at once, and a refresh from before it does not get in',
      ]),
    )
  })

  test('a callback that is answered and not carried out', async () => {
    class Handler extends library.LogoutHandler {
      override async handle() {
        return { status: 200, headers: {}, body: '', result: 'unknown-session', evicted: [] } as never
      }
    }
    expect(await failures(withParts({ LogoutHandler: Handler }))).toEqual([
      'a front-channel logout callback evicts, as a path and as a web Request',
      'a back-channel logout token is verified, and evicts',
    ])
  })

  test('a record that holds what others hold', async () => {
    const failed = await failures((right) => ({ ...right, here: mixing(right.here) }))
    expect(failed).toContain('20 sign-ins at once on one client are 20 records, each of one account')
  })

  test('keys that are not used', async () => {
    class Plugin extends library.KeyvCachePlugin {
      constructor({ encryptionKeys: _, ...options }: library.KeyvCachePluginOptions) {
        super(options)
      }
    }
    const failed = await failures(withParts({ KeyvCachePlugin: Plugin }))
    expect(failed).toEqual(['sealed records show nothing, and open with their key only'])
  })
})

function parts(): Parts {
  const records = new Map<string, unknown>()
  const open = () => new Keyv(records, { useKeyPrefix: false })
  return { library, here: open(), elsewhere: open() }
}

/** The scenarios that fail with parts of which something is broken. */
async function failures(broken: (right: Parts) => Parts): Promise<string[]> {
  const failed: string[] = []
  for (const { name, run } of scenarios) await run(broken(parts())).catch(() => failed.push(name))
  return failed
}

/** A store that confirms one kind of call and carries it out for nobody. */
function without(keyv: library.KeyvLike, call: 'set' | 'delete'): library.KeyvLike {
  return new Proxy(keyv, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target)
      if (property === call) return async () => true
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** A store in which each record repeats what was written before. */
function mixing(keyv: library.KeyvLike): library.KeyvLike {
  let written = ''
  const mixed = <Entry extends { value: string }>(entry: Entry): Entry => {
    written += entry.value
    return { ...entry, value: written }
  }
  return new Proxy(keyv, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target)
      if (property === 'setMany') {
        return (entries: { key: string; value: string; ttl: number }[]) =>
          target.setMany?.(entries.map(mixed))
      }
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

function withParts(broken: Partial<typeof library>): (right: Parts) => Parts {
  return (right) => ({ ...right, library: { ...library, ...broken } })
}
