import { Keyv } from 'keyv'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { KeyvLike } from '../../src/index.ts'
import type { ImportReport } from '../../src/migrate/index.ts'
import { CLIENT_ID } from '../support/entra.ts'
import { importHost, LIBRARY, type Library } from '../support/import-host.ts'
import { mutant } from '../support/mutant.ts'

interface Entry {
  readonly key: string
}

/** What of a write a store does that then fails. */
const TORN: [what: string, isDone: (entry: Entry) => boolean][] = [
  ['nothing', () => false],
  ['the partition only', ({ key }) => key.endsWith('_p')],
  ['the links only', ({ key }) => !key.endsWith('_p')],
  ['everything', () => true],
]

const ACCOUNTS = 18
/** A read and a write for each, and a look at each 16. */
const CALLS = 2 * ACCOUNTS + 2

/** A store that fails at its nth call. */
function failingAt(nth: number, isDone: (entry: Entry) => boolean, keyv: Keyv): KeyvLike {
  let calls = 0
  return new Proxy(keyv, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target)
      if (typeof value !== 'function') return value
      if (property !== 'getMany' && property !== 'setMany') return value.bind(target)
      return async (entries: unknown[]) => {
        if (++calls !== nth) return Reflect.apply(value, target, [entries])
        if (property === 'setMany') await Reflect.apply(value, target, [(entries as Entry[]).filter(isDone)])
        throw new Error('the store fails')
      }
    },
  })
}

/** The accounts in a report and the generation of each, in a fixed order. */
function generationsIn({ imported, skipped }: ImportReport): [string, string | undefined][] {
  const known = [...imported, ...skipped].map((account): [string, string | undefined] => [
    account.homeAccountId,
    'generation' in account ? account.generation : undefined,
  ])
  return known.sort(([one], [two]) => (one < two ? -1 : 1))
}

/** The epochs of its sessions are drawn at random. */
function withoutEpochs(record: string): string {
  return record.replace(/\\"[\w-]{22}\\"(?=,\d+,\d+\])/g, '')
}

/** Imports as often as there are calls to fail at, and repeats it. @returns how often the result was another one */
async function interruptedEverywhere(
  { KeyvCachePlugin, importCache }: Library,
  isDone: (entry: Entry) => boolean,
) {
  const { entra, blob, plugin, map } = importHost()
  const serialized = await blob(...Array.from({ length: ACCOUNTS }, () => entra.user()))
  const whole = await LIBRARY.importCache(plugin, serialized)
  let others = 0
  for (let nth = 1; nth <= CALLS; nth++) {
    const interrupted = new Map<string, string>()
    const keyv = new Keyv({ store: interrupted, useKeyPrefix: false })
    const failing = new KeyvCachePlugin({ store: failingAt(nth, isDone, keyv), clientId: CLIENT_ID })
    await expect(importCache(failing, serialized)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    const report = await importCache(new KeyvCachePlugin({ store: keyv, clientId: CLIENT_ID }), serialized)
    expect(generationsIn(report)).toEqual(generationsIn(whole))
    const isSame =
      interrupted.size === map.size &&
      [...map].every(([key, value]) => withoutEpochs(interrupted.get(key) ?? '') === withoutEpochs(value))
    if (!isSame) others++
  }
  return others
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }))
afterEach(() => void vi.useRealTimers())

describe('an import that is interrupted at any call of the store and repeated has the same result', () => {
  test.each(TORN)('where the failed write did %s', async (_, isDone) => {
    expect(await interruptedEverywhere(LIBRARY, isDone)).toBe(0)
  })

  test('but for the links that a write did not do, if nobody looked for them', async () => {
    const broken = await mutant<Library>('import: links not looked for')
    expect(await interruptedEverywhere(broken, ({ key }) => key.endsWith('_p'))).toBeGreaterThan(0)
  })
})
