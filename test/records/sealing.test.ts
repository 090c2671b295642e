import { createDecipheriv, createSecretKey, hkdfSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import fc from 'fast-check'
import Keyv from 'keyv'
import { beforeAll, describe, expect, test } from 'vitest'
import { KeyvCachePlugin } from '../../src/index.ts'
import { resolveEncryptionKeys } from '../../src/records/encryption-keys.ts'
import { KeyNames } from '../../src/records/key-names.ts'
import type * as SealingModule from '../../src/records/sealing.ts'
import { type Opened, Sealing } from '../../src/records/sealing.ts'
import { CLIENT_ID, EntraStandIn } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'
import type { MutantName } from '../support/mutants.ts'
import { keysOf, storedText } from '../support/stored.ts'
import vectors from './sealing-vectors.json' with { type: 'json' }

const K1 = { id: 'k1', key: Buffer.alloc(32, 1) }
const K2 = { id: 'k2', key: Buffer.alloc(32, 2) }
const KEY = keysOf('uid.utid').partition
const OTHER_KEY = keysOf('other.utid').partition
// Of a length whose base64url has bits to spare, which only the canonical spelling leaves zero.
const RECORD = '{"v":1}\n{"Account":{}}'
// Each of the others differs from the first in one bit, so that a flip there finds a key that fits.
const SAME_KEY_UNDER_NEIGHBOURING_IDS = ['k', 'j', 'i', 'o', 'c', 'K'].map((id) => ({ id, key: K1.key }))

type Keys = Parameters<typeof resolveEncryptionKeys>[0]
type SealingClass = typeof Sealing

function sealingOf(encryptionKeys: Keys, allowPlaintext = false, Class: SealingClass = Sealing): Sealing {
  return new Class({ encryptionKeys: resolveEncryptionKeys(encryptionKeys), allowPlaintext })
}

/** Opens whatever can be opened. */
function lenient(Class: SealingClass = Sealing): Sealing {
  return sealingOf(SAME_KEY_UNDER_NEIGHBOURING_IDS, true, Class)
}

function mutantSealing(name: MutantName): Promise<typeof SealingModule> {
  return mutant<typeof SealingModule>(name, 'Sealing')
}

let partition: { recordKey: string; text: string }

beforeAll(async () => {
  const entra = new EntraStandIn()
  const store = new Keyv()
  const user = entra.user()
  await entra.signIn(entra.client(new KeyvCachePlugin({ store, clientId: CLIENT_ID })), user)
  const stored = await storedText(store, user.homeAccountId)
  // White space at its end changes no JSON, and makes base64url end with 4 bits that carry nothing.
  const text = stored + ' '.repeat((3 - (Buffer.byteLength(stored) % 3)) % 3)
  partition = { recordKey: keysOf(user.homeAccountId).partition, text }
  expect(text.length).toBeGreaterThan(6000)
})

function* bitFlips(text: string): Generator<string> {
  const bytes = Buffer.from(text)
  for (let offset = 0; offset < bytes.length; offset++) {
    const byte = bytes.readUInt8(offset)
    for (let bit = 0; bit < 8; bit++) {
      bytes.writeUInt8(byte ^ (1 << bit), offset)
      yield bytes.toString()
    }
    bytes.writeUInt8(byte, offset)
  }
}

function* truncations(text: string): Generator<string> {
  for (let length = 0; length < text.length; length++) {
    yield text.slice(0, length)
    yield text.slice(text.length - length)
  }
}

/** Other texts that Node decodes to the very same bytes. */
function respellings(sealed: string): string[] {
  const [version, id, encoded = ''] = sealed.split('.')
  const bytes = Buffer.from(encoded, 'base64url')
  const middle = encoded.length / 2
  const inserted = ['=', ' ', '\n', '\t', '\0', '*', 'é', '🔏'].flatMap((text) => [
    text + encoded,
    encoded.slice(0, middle) + text + encoded.slice(middle),
    encoded + text,
  ])
  const lastDigits = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/']
  return [
    ...inserted,
    `${encoded}==`,
    `${encoded}=anything`,
    bytes.toString('base64'),
    encoded.replace('-', '+'),
    encoded.replace('_', '/'),
    ...lastDigits.map((digit) => encoded.slice(0, -1) + digit),
  ]
    .filter((text) => text !== encoded && Buffer.from(text, 'base64url').equals(bytes))
    .map((text) => `${version}.${id}.${text}`)
}

function opening(sealing: Sealing, texts: Iterable<unknown>, recordKey: string): unknown[] {
  const opened: unknown[] = []
  for (const text of texts) {
    if ('plaintext' in sealing.open(text, recordKey)) opened.push(text)
  }
  return opened
}

describe('a sealed record', () => {
  test('opens where it was written, as it was', () => {
    const sealing = sealingOf([K1])
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (text, recordKey) => {
        const opened = sealing.open(sealing.seal(text, recordKey), recordKey)
        expect(opened).toEqual({ plaintext: text })
      }),
    )
    const sealed = sealing.seal(partition.text, partition.recordKey)
    expect(sealing.open(sealed, partition.recordKey)).toEqual({ plaintext: partition.text })
  })

  test('shows its version and key id, and is another text each time', () => {
    const sealing = sealingOf([K1, K2])
    const texts = Array.from({ length: 100 }, () => sealing.seal(RECORD, KEY))
    expect(new Set(texts).size).toBe(100)
    for (const text of texts) expect(text).toMatch(/^v1\.k1\.[\w-]+$/)
  })

  test('does not open with any one of its bits flipped', () => {
    const sealing = lenient()
    const sealed = sealing.seal(partition.text, partition.recordKey)
    expect(opening(sealing, bitFlips(sealed), partition.recordKey)).toEqual([])
  })

  test('does not open with any bit of its UTF-16 flipped', () => {
    const sealing = lenient()
    const sealed = sealing.seal(RECORD, KEY)
    const flipped = Array.from({ length: sealed.length * 16 }, (_, n) => {
      const at = Math.floor(n / 16)
      const unit = sealed.charCodeAt(at) ^ (1 << (n % 16))
      return sealed.slice(0, at) + String.fromCharCode(unit) + sealed.slice(at + 1)
    })
    expect(opening(sealing, flipped, KEY)).toEqual([])
  })

  test('does not open when it is cut at any place, from either side', () => {
    const sealing = lenient()
    const sealed = sealing.seal(partition.text, partition.recordKey)
    expect(opening(sealing, truncations(sealed), partition.recordKey)).toEqual([])
  })

  test('opens in its canonical spelling only', () => {
    const sealing = lenient()
    const sealed = sealing.seal(partition.text, partition.recordKey)
    const others = respellings(sealed)
    expect(others.length).toBeGreaterThan(30)
    for (const text of others) {
      expect(sealing.open(text, partition.recordKey)).toEqual({ unreadable: 'malformed' })
    }
  })

  test('does not open under any other record key, nor with a part of another record', () => {
    const sealing = sealingOf([K1, K2], true)
    const record = fc.record({ recordKey: fc.string(), text: fc.string(), newest: fc.boolean() })
    const records = fc.uniqueArray(record, {
      selector: ({ recordKey }) => recordKey,
      minLength: 2,
      maxLength: 6,
    })
    fc.assert(
      fc.property(records, (written) => {
        const sealed = written.map(({ recordKey, text, newest }) => ({
          recordKey,
          text: sealingOf(newest ? [K1] : [K2]).seal(text, recordKey),
        }))
        for (const { recordKey, text } of sealed) {
          expect(sealing.open(text, recordKey)).toHaveProperty('plaintext')
          const head = text.slice(0, 'v1.k1.'.length)
          const iv = text.slice(head.length, head.length + 16)
          for (const other of sealed.filter((candidate) => candidate.recordKey !== recordKey)) {
            const body = other.text.slice(head.length)
            const foreign = [other.text, head + body, head + iv + body.slice(16)]
            for (const moved of foreign) {
              expect(sealing.open(moved, recordKey)).toEqual({ unreadable: 'tampered' })
            }
          }
        }
      }),
    )
  })

  test('does not open under another key id, though the key be the same', () => {
    const sealing = lenient()
    const sealed = sealing.seal(RECORD, KEY)
    expect(sealing.open(sealed.replace('.k.', '.j.'), KEY)).toEqual({ unreadable: 'tampered' })
  })
})

describe('what does not open says why', () => {
  const sealing = sealingOf([K1])
  const sealed = sealing.seal(RECORD, KEY)
  const body = sealed.slice('v1.k1.'.length)
  const tooShort = Buffer.alloc(27).toString('base64url')

  test.each([
    ['unknown-key', sealingOf([K2]).seal(RECORD, KEY)],
    ['unknown-key', `v1.constructor.${body}`],
    ['tampered', sealing.seal(RECORD, OTHER_KEY)],
    ['tampered', sealingOf([{ id: 'k1', key: K2.key }]).seal(RECORD, KEY)],
    ['tampered', `v1.k1.${tooShort}AA`],
    ['plaintext', RECORD],
    ['plaintext', '{'],
    ['newer-version', `v2.k1.${body}`],
    ['newer-version', `v10.k1.${body}`],
    ['newer-version', 'v2.'],
    ['malformed', `v0.k1.${body}`],
    ['malformed', `v01.k1.${body}`],
    ['malformed', `V1.k1.${body}`],
    ['malformed', `v1.k1.${tooShort}`],
    ['malformed', `v1.k1.${body}.`],
    ['malformed', `v1.k1.${body}.${body}`],
    ['malformed', `v1.${body}`],
    ['malformed', `v1..k1.${body}`],
    ['malformed', 'v1.k1.'],
    ['malformed', 'v1'],
    ['malformed', 'v2'],
    ['malformed', ` ${sealed}`],
    ['malformed', ` ${RECORD}`],
    ['malformed', `\ufeff${RECORD}`],
    ['malformed', ''],
    ['malformed', undefined],
    ['malformed', null],
    ['malformed', 7],
    ['malformed', {}],
    ['malformed', Buffer.from(sealed)],
  ] as const)('%s (%#)', (unreadable, stored) => {
    expect(sealing.open(stored, KEY)).toEqual({ unreadable })
  })

  test('nothing makes it throw, and nothing opens that was not sealed here', () => {
    const mutilated = fc
      .tuple(fc.nat(sealed.length), fc.nat(sealed.length), fc.string({ unit: 'binary' }))
      .map(([from, to, text]) => sealed.slice(0, from) + text + sealed.slice(to))
    const lookalike = fc
      .tuple(fc.constantFrom('v1', 'v2', 'v', ''), fc.constantFrom('k1', 'k2', ''), fc.base64String())
      .map((parts) => parts.join('.'))
    const stored = fc.oneof(fc.anything(), fc.string({ unit: 'binary' }), mutilated, lookalike)
    fc.assert(
      fc.property(stored, fc.string({ unit: 'binary' }), (value, recordKey) => {
        fc.pre(value !== sealed)
        expect(sealing.open(value, KEY)).toHaveProperty('unreadable')
        expect(sealing.open(value, recordKey)).toHaveProperty('unreadable')
        expect(sealing.open(sealed, recordKey)).toHaveProperty('unreadable')
      }),
      { numRuns: 1000 },
    )
    expect(sealing.open(sealed, KEY.repeat(100))).toEqual({ unreadable: 'tampered' })
  })
})

describe('keys', () => {
  const opened: Opened = { plaintext: RECORD }

  test('are rotated without a record that nobody can open', () => {
    const steps = [[K1], [K1, K2], [K2, K1], [K2]].map((keys) => sealingOf(keys))
    for (const [index, before] of steps.entries()) {
      const after = steps[index + 1] ?? before
      // While servers are being replaced, each step reads what the other writes.
      expect(before.open(after.seal(RECORD, KEY), KEY)).toHaveProperty('plaintext', RECORD)
      expect(after.open(before.seal(RECORD, KEY), KEY)).toHaveProperty('plaintext', RECORD)
    }
    const [old, added, first, dropped] = steps.map((sealing) => sealing.seal(RECORD, KEY))
    expect(steps[1]?.open(old, KEY)).toEqual(opened)
    expect(steps[2]?.open(added, KEY)).toEqual(opened)
    expect(steps[2]?.open(first, KEY)).toEqual(opened)
    expect(steps[3]?.open(first, KEY)).toEqual(opened)
    expect(steps[3]?.open(dropped, KEY)).toEqual(opened)
    expect(steps[3]?.open(old, KEY)).toEqual({ unreadable: 'unknown-key' })
  })

  test('are switched on in a live system with allowPlaintext', () => {
    const off = sealingOf(undefined)
    const rollingOut = sealingOf([K1], true)
    const on = sealingOf([K1])
    expect(off.seal(RECORD, KEY)).toBe(RECORD)
    expect(off.open(RECORD, KEY)).toEqual(opened)
    expect(rollingOut.open(RECORD, KEY)).toEqual(opened)
    expect(on.open(RECORD, KEY)).toEqual({ unreadable: 'plaintext' })
    const sealed = rollingOut.seal(RECORD, KEY)
    expect(on.open(sealed, KEY)).toEqual(opened)
    expect(off.open(sealed, KEY)).toEqual({ unreadable: 'unknown-key' })
  })

  test('are not shown by util.inspect or JSON (P9)', () => {
    const key = Buffer.from('the secret bytes of a sealing key')
    const sealing = sealingOf([{ id: 'k1', key: key.subarray(0, 32) }])
    sealing.open(sealing.seal(RECORD, KEY), KEY)
    const shown = inspect(sealing, { depth: null, showHidden: true, getters: true }) + JSON.stringify(sealing)
    expect(shown).toBe('Sealing {}{}')
  })
})

/** By docs/record-format.md, without the codec. */
function openByHand(sealed: string, recordKey: string, key: string): string {
  const [version, keyId, encoded] = sealed.split('.')
  const bytes = Buffer.from(encoded ?? '', 'base64url')
  const secret = createSecretKey(key, 'base64url')
  const subkey = Buffer.from(hkdfSync('sha256', secret, '', `msal-keyv.seal.v1.${recordKey}`, 32))
  const decipher = createDecipheriv('aes-256-gcm', subkey, bytes.subarray(0, 12), { authTagLength: 16 })
  decipher.setAAD(Buffer.from(`${version}.${keyId}.${recordKey}`))
  decipher.setAuthTag(bytes.subarray(-16))
  return decipher.update(bytes.subarray(12, -16), undefined, 'utf8') + decipher.final('utf8')
}

/** Whether a codec keeps to the format: opens the vectors, and seals what opens by hand. */
function keepsFormat(Class: SealingClass = Sealing): boolean {
  return vectors.every(({ keyId, key, recordKey, plaintext, sealed }) => {
    const sealing = sealingOf([{ id: keyId, key }], false, Class)
    const opened = sealing.open(sealed, recordKey)
    try {
      const again = openByHand(sealing.seal(plaintext, recordKey), recordKey, key)
      return 'plaintext' in opened && opened.plaintext === plaintext && again === plaintext
    } catch {
      return false
    }
  })
}

describe('the format', () => {
  test.each(vectors)('$description', ({ keyId, key, recordKey, subkey, iv, plaintext, sealed }) => {
    expect(openByHand(sealed, recordKey, key)).toBe(plaintext)
    const derived = hkdfSync(
      'sha256',
      Buffer.from(key, 'base64url'),
      '',
      `msal-keyv.seal.v1.${recordKey}`,
      32,
    )
    expect(Buffer.from(derived).toString('base64url')).toBe(subkey)
    expect(sealed.startsWith(`v1.${keyId}.${iv}`)).toBe(true)
    const opened = sealingOf([{ id: keyId, key }]).open(sealed, recordKey)
    expect(opened).toEqual({ plaintext })
  })

  test('is kept by what is sealed now', () => {
    expect(keepsFormat()).toBe(true)
  })

  test('is what docs/record-format.md says: its code finds and opens its example', async () => {
    const page = readFileSync(new URL('../../docs/record-format.md', import.meta.url), 'utf8')
    const blocks = page.split(/^```.*\n/m).filter((_, index) => index % 2 === 1)
    const block = (start: string) => blocks.find((text) => text.startsWith(start))?.trimEnd() ?? ''
    const { partitionKey, openRecord } = await import(
      /* @vite-ignore */ `data:text/javascript,${encodeURIComponent(block('import'))}`
    )
    const example = page.slice(page.indexOf('## Test vectors'))
    const cell = (name: string) => new RegExp(`^\\| ${name} \\| \`(.+)\` \\|$`, 'm').exec(example)?.[1] ?? ''

    const [clientId, homeAccountId, recordKey] = ['client id', 'home account id', 'record key'].map(cell)
    expect(partitionKey(clientId, homeAccountId)).toBe(recordKey)
    expect(openRecord(block('v1.k1.'), recordKey, cell('key'))).toBe(block('{'))
    expect(vectors[0]).toMatchObject({
      keyId: cell('key id'),
      key: cell('key'),
      recordKey,
      subkey: cell('subkey'),
      iv: cell('iv'),
      plaintext: block('{'),
      sealed: block('v1.k1.'),
    })
    expect(() => openRecord(vectors[1]?.sealed, recordKey, cell('key'))).toThrow()

    const named = { clientId: CLIENT_ID, namespace: 'staff', keySecret: 'sixteen bytes or more' }
    const names = new KeyNames(named)
    expect(partitionKey(CLIENT_ID, 'uid.utid', named)).toBe(names.account('uid.utid').partition)
  })
})

describe('the tests above can fail', () => {
  function opensElsewhere(Class: SealingClass): boolean {
    const sealing = lenient(Class)
    return 'plaintext' in sealing.open(sealing.seal(RECORD, OTHER_KEY), KEY)
  }

  test('without authenticated data, a flipped bit in the key id opens', async () => {
    const broken = await mutantSealing('no authenticated data')
    const sealing = lenient(broken.Sealing)
    expect(opening(sealing, bitFlips(sealing.seal(RECORD, KEY)), KEY)).toHaveLength(5)
    expect(keepsFormat(broken.Sealing)).toBe(false)
    expect(opensElsewhere(broken.Sealing)).toBe(false) // The subkey still sees to that.
  })

  test.each(['key id not authenticated', 'record key not authenticated'] as const)(
    '%s: it is another format',
    async (name) => {
      const broken = await mutantSealing(name)
      expect(keepsFormat(broken.Sealing)).toBe(false)
    },
  )

  test('with one subkey for all records, it is another format', async () => {
    const broken = await mutantSealing('one subkey for all')
    expect(keepsFormat(broken.Sealing)).toBe(false)
    expect(opensElsewhere(broken.Sealing)).toBe(false) // The authenticated data still sees to that.
  })

  test('with the record key in neither, a record opens anywhere', async () => {
    const broken = await mutantSealing('record key in nothing')
    expect(opensElsewhere(broken.Sealing)).toBe(true)
  })

  test('without the check of the spelling, a flipped bit and every other spelling opens', async () => {
    const broken = await mutantSealing('any spelling')
    const sealing = lenient(broken.Sealing)
    // Whether one of the flips changes nothing but spare bits depends on the last character, and so on the iv.
    const opened = Array.from({ length: 50 }, () =>
      opening(sealing, bitFlips(sealing.seal(RECORD, KEY)), KEY),
    )
    expect(opened.flat()).not.toEqual([])
    const others = respellings(sealing.seal(partition.text, partition.recordKey))
    expect(opening(sealing, others, partition.recordKey)).toEqual(others)
  })

  test('without the tag, flipped bits open', async () => {
    const broken = await mutantSealing('tag not checked')
    const sealing = lenient(broken.Sealing)
    expect(opening(sealing, bitFlips(sealing.seal(RECORD, KEY)), KEY)).not.toEqual([])
  })
})
