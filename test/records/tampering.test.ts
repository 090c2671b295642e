import fc from 'fast-check'
import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import type * as library from '../../src/index.ts'
import { generateEncryptionKey, KeyvCachePlugin } from '../../src/index.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn, type User } from '../support/entra.ts'
import { runEveryFlow } from '../support/every-flow.ts'
import { LONG, length } from '../support/length.ts'
import { mutant } from '../support/mutant.ts'
import { drawSeed } from '../support/seed.ts'
import { isStored, keysOf } from '../support/stored.ts'

const encryptionKeys = [generateEncryptionKey(), generateEncryptionKey()]
const LATER = Date.now() + 24 * 60 * 60 * 1000

/** A store of text that a test writes past the library. Keyv reads it as any other. */
class Vault {
  readonly #map = new Map<string, string>()
  readonly store = new Keyv(this.#map, { useKeyPrefix: false })

  read(key: string): string {
    return (JSON.parse(this.#map.get(key) ?? '{}') as { value?: string }).value ?? ''
  }

  write(key: string, value: string): void {
    this.#map.set(key, JSON.stringify({ value, expires: LATER }))
  }

  get keys(): string[] {
    return [...this.#map.keys()]
  }

  /** Returns how to bring everything back as it is now. */
  remember(): () => void {
    const now = [...this.#map]
    return () => {
      this.#map.clear()
      for (const [key, value] of now) this.#map.set(key, value)
    }
  }
}

/** What a silent call came to: a token from the cache, or MSAL's "sign in again". Anything else is thrown. */
async function outcome(entra: EntraStandIn, plugin: KeyvCachePlugin, user: User): Promise<'token' | 'none'> {
  try {
    await acquireSilently(entra.client(plugin.forAccount(user)), user.homeAccountId)
    return 'token'
  } catch (error) {
    if ((error as { errorCode?: unknown }).errorCode !== 'no_tokens_found') throw error
    return 'none'
  }
}

/** One account's partition, sealed, and what comes of it with another text in its place. */
async function partition(size: 'realistic' | 'small', Plugin = KeyvCachePlugin) {
  const vault = new Vault()
  const entra = new EntraStandIn({ size })
  // The least that makes a partition: it is flipped bit by bit.
  if (size === 'small') entra.answers.authorization_code = { omit: ['refresh_token', 'id_token'] }
  const plugin = new Plugin({ store: vault.store, clientId: CLIENT_ID, encryptionKeys })
  const user = entra.user()
  await entra.signIn(entra.client(plugin), user)
  const key = keysOf(user.homeAccountId).partition
  const sealed = vault.read(key)
  const readAs = (text: string) => {
    vault.write(key, text)
    return outcome(entra, plugin, user)
  }
  /** Which of the texts yield a token. */
  const opening = async (texts: Iterable<string>) => {
    const opened: string[] = []
    for (const text of texts) if ((await readAs(text)) === 'token') opened.push(text)
    return opened
  }
  return { sealed, readAs, opening, vault, entra, plugin, user, key }
}

function flip(text: string, bit: number): string {
  const bytes = Buffer.from(text, 'latin1')
  bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
  return bytes.toString('latin1')
}

describe('a partition that was tampered with yields no token, and no exception', () => {
  test('with any one bit flipped, one after the other', async () => {
    const { sealed, readAs, opening } = await partition('small')
    // The record's own test flips every bit: here it goes through MSAL.
    const step = length({ short: 11, long: 1 })
    const bits = Array.from({ length: 8 * sealed.length }, (_, bit) => bit).filter((bit) => bit % step === 0)
    expect(await opening(bits.map((bit) => flip(sealed, bit)))).toEqual([])
    expect(await readAs(sealed)).toBe('token')
  })

  test('of 6 kB, with some of its bits flipped', async () => {
    const { sealed, readAs, opening } = await partition('realistic')
    expect(sealed.length).toBeGreaterThan(6000)
    const bits = fc.sample(fc.nat(8 * sealed.length - 1), {
      numRuns: length({ short: 500, long: 5000 }),
      seed: drawSeed(),
    })
    expect(await opening(bits.map((bit) => flip(sealed, bit)))).toEqual([])
    expect(await readAs(sealed)).toBe('token')
  })

  test('cut at any place, from either side', async () => {
    const { sealed, opening } = await partition('small')
    const step = length({ short: 7, long: 1 })
    const places = Array.from(sealed, (_, at) => at).filter((at) => at % step === 0)
    const cuts = places.flatMap((at) => [sealed.slice(0, at), sealed.slice(at + 1)])
    expect(await opening(cuts)).toEqual([])
  })

  test('pieced together from two writes of the same key', async () => {
    const { sealed, opening, vault, entra, plugin, user, key } = await partition('small')
    vault.write(key, sealed)
    await acquireSilently(entra.client(plugin.forAccount(user)), user.homeAccountId)
    await entra.signIn(entra.client(plugin), user)
    const other = vault.read(key)
    expect(other).not.toBe(sealed)
    const cut = fc.integer({ min: 'v1.'.length + 17, max: sealed.length - 1 })
    const cuts = fc.sample(cut, { numRuns: 300, seed: drawSeed() })
    const pieced = cuts.map((at) => sealed.slice(0, at) + other.slice(at))
    // Where they begin or end alike, a cut there makes one of them again.
    const mixed = pieced.filter((text) => text !== sealed && text !== other)
    expect(await opening(mixed)).toEqual([])
  })

  test('with a codec that does not check, both find it out', async () => {
    const broken = await mutant('tag not checked')
    const { sealed, opening } = await partition('small', broken.KeyvCachePlugin)
    const bits = Array.from({ length: 8 * 16 }, (_, n) => 8 * sealed.length - 1 - n)
    expect(await opening(bits.map((bit) => flip(sealed, bit)))).not.toEqual([])
  })
})

describe('two stored values that were swapped', () => {
  async function everyFlow(options: { encryptionKeys?: typeof encryptionKeys }, broken?: typeof library) {
    const vault = new Vault()
    const world = await runEveryFlow(vault.store, options, 'small', broken)
    // The one who was evicted is back: partition and generation record.
    const [back = world.brief, gone = world.brief] = world.evicted
    await world.entra.signIn(world.entra.client(world.msal.plugin), back)
    return { vault, back, gone, ...world }
  }

  type World = Awaited<ReturnType<typeof everyFlow>>

  /** Whose token is found under each key, and whatever else was thrown than "sign in again". */
  async function look({ entra, msal, ada, brief, back, gone, useAll, logout }: World) {
    const { plugin } = msal
    const found = new Map<string, string>()
    const thrown: unknown[] = []
    for (const user of [ada, brief, back, gone]) {
      try {
        const client = entra.client(plugin.forAccount(user))
        const { accessToken, fromCache } = await acquireSilently(client, user.homeAccountId)
        const owner = fromCache ? entra.ownerOf(accessToken)?.homeAccountId : undefined
        if (owner !== user.homeAccountId)
          thrown.push(new Error(`a token of ${owner} for ${user.homeAccountId}`))
        found.set(keysOf(user.homeAccountId).partition, owner ?? '')
      } catch (error) {
        if ((error as { errorCode?: unknown }).errorCode !== 'no_tokens_found') thrown.push(error)
      }
      await isStored(plugin, user)
    }
    for (const { flow, result, error } of await useAll()) {
      const owner = entra.ownerOf(result?.accessToken ?? '')?.homeAccountId
      const rightful =
        flow === 'app' ? '' : flow.includes('without') ? brief.homeAccountId : ada.homeAccountId
      if (result !== undefined && owner !== rightful) thrown.push(new Error(`${flow}: a token of ${owner}`))
      if (result?.fromCache && flow === 'app') found.set('_a', '')
      if (result?.fromCache && flow === 'on behalf of') found.set('_o', '')
      if (result?.fromCache && flow === 'long-running process') found.set('_l', '')
      if (error !== undefined && (error as { errorCode?: unknown }).errorCode !== 'no_tokens_found')
        thrown.push(error)
    }
    const query = new URLSearchParams({ iss: entra.issuerFor(ada.tid), sid: ada.sid ?? '' })
    const { result, evicted: ended } = await logout.handle({ method: 'GET', url: `/logout?${query}` })
    const strangers = ended.filter(({ homeAccountId }) => homeAccountId !== ada.homeAccountId)
    if (strangers.length > 0) thrown.push(new Error('the session link led to somebody else'))
    if (result === 'evicted') found.set('_s', '')
    return { found, thrown }
  }

  /** One pair of each two kinds; in a long run every pair. */
  function pairsOf(keys: readonly string[]): [string, string][] {
    const pairs = keys.flatMap((one, index) =>
      keys.slice(index + 1).map((other): [string, string] => [one, other]),
    )
    if (LONG) return pairs
    const ofKinds = new Map(
      pairs.map((pair) => [
        pair
          .map((key) => key.slice(-2))
          .sort()
          .join(),
        pair,
      ]),
    )
    return [...ofKinds.values()]
  }

  /** What a key's record is called in what {@link look} found: itself, or its kind where there is only one. */
  function nameOf(key: string): string {
    return key.endsWith('_p') ? key : key.slice(-2)
  }

  async function swapAll(world: World) {
    const { vault, back } = world
    const restore = vault.remember()
    const before = await look(world)
    const wrong: string[] = []
    const { generation, partition: backs } = keysOf(back.homeAccountId)
    restore()
    const pairs = pairsOf(vault.keys)
    for (const [one, other] of pairs) {
      restore()
      const [first, second] = [vault.read(one), vault.read(other)]
      vault.write(one, second)
      vault.write(other, first)
      const { found, thrown } = await look(world)
      wrong.push(...thrown.map((error) => `${one} ⇄ ${other}: ${String(error)}`))
      const swapped = [one, other].map((key) => (key === generation ? backs : key))
      for (const key of swapped.map(nameOf)) {
        if (key !== '_s' && found.has(key)) wrong.push(`${one} ⇄ ${other}: ${key} still yields a token`)
      }
    }
    restore()
    return { before, pairs: pairs.length, wrong }
  }

  test.each([
    ['sealed', { encryptionKeys }],
    ['plaintext', {}],
  ])('are both as good as gone, whichever two they are, and nothing is thrown: %s', async (_, options) => {
    const { before, pairs, wrong } = await swapAll(await everyFlow(options))
    expect(before.thrown).toEqual([])
    expect(before.found.size).toBe(3 + 3 + 1)
    expect(pairs).toBeGreaterThan(length({ short: 25, long: 150 }))
    expect(wrong).toEqual([])
  })

  test('without the check that a record is of its key, somebody gets the tokens of another', async () => {
    const broken = await mutant('record of any key')
    const { wrong } = await swapAll(await everyFlow({}, broken))
    expect(wrong.join()).toContain('a token of')
  })
})

describe('an older value of the same key', () => {
  async function replay(Plugin = KeyvCachePlugin) {
    const { sealed, readAs, entra, plugin, user, vault, key } = await partition('realistic', Plugin)
    await plugin.evictAccount(user.homeAccountId)
    const afterEviction = await readAs(sealed)
    await entra.signIn(entra.client(plugin), user)
    const current = vault.read(key)
    const afterSignIn = await readAs(sealed)
    return { afterEviction, afterSignIn, rightful: await readAs(current) }
  }

  test('is nothing while the generation record stands, also after the next sign-in', async () => {
    expect(await replay()).toEqual({ afterEviction: 'none', afterSignIn: 'none', rightful: 'token' })
  })

  test('opens where nobody was evicted: sealing alone does not notice a rollback', async () => {
    const { sealed, readAs, entra, plugin, user } = await partition('realistic')
    await entra.signIn(entra.client(plugin), user)
    expect(await readAs(sealed)).toBe('token')
  })

  test('is a token again without the check of generations', async () => {
    const broken = await mutant('generation ignored')
    expect(await replay(broken.KeyvCachePlugin)).toMatchObject({ afterEviction: 'token' })
  })
})
