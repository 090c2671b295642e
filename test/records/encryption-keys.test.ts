import { createPrivateKey, createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConfigurationError } from '../../src/errors.ts'
import {
  type EncryptionKey,
  generateEncryptionKey,
  resolveEncryptionKeys,
} from '../../src/records/encryption-keys.ts'

// Its base64 has both of the characters in which base64url differs, and padding.
const BYTES = Buffer.from('fbff'.repeat(16), 'hex')
const good = { id: 'k1', key: BYTES }

/** As a host without types would call it. */
function resolve(keys: unknown) {
  return resolveEncryptionKeys(keys as readonly EncryptionKey[])
}

describe('generateEncryptionKey', () => {
  test('makes 256 bits and an id, different each time', () => {
    const made = Array.from({ length: 100 }, generateEncryptionKey)
    expect(new Set(made.map(({ id }) => id)).size).toBe(100)
    expect(new Set(made.map(({ key }) => key)).size).toBe(100)
    for (const key of made) {
      expect(Buffer.from(key.key, 'base64url')).toHaveLength(32)
      expect(resolveEncryptionKeys([key])).toHaveLength(1)
    }
  })

  test('survives JSON, as in a vault or an environment variable', () => {
    const made = generateEncryptionKey()
    const [resolved] = resolve([JSON.parse(JSON.stringify(made))]) ?? []
    expect(resolved?.id).toBe(made.id)
    expect(resolved?.key.export().toString('base64url')).toBe(made.key)
  })
})

describe('resolveEncryptionKeys', () => {
  test('no option is no keys', () => {
    expect(resolveEncryptionKeys(undefined)).toBeUndefined()
  })

  test.each([
    ['a Buffer', BYTES],
    ['bytes', new Uint8Array(BYTES)],
    ['a view into larger memory', Buffer.concat([Buffer.alloc(5), BYTES, Buffer.alloc(3)]).subarray(5, 37)],
    ['a KeyObject', createSecretKey(BYTES)],
    ['base64', BYTES.toString('base64')],
    ['base64 without padding', BYTES.toString('base64').replace('=', '')],
    ['base64url', BYTES.toString('base64url')],
    ['base64url with padding', `${BYTES.toString('base64url')}=`],
  ])('a key may be %s', (_, key) => {
    const resolved = resolveEncryptionKeys([{ id: 'k1', key }])
    expect(resolved?.map(({ id, key }) => [id, key.export()])).toEqual([['k1', BYTES]])
  })

  test('the order stays: the first seals', () => {
    const ids = ['b', 'a', 'c'].map((id) => ({ id, key: randomBytes(32) }))
    expect(resolveEncryptionKeys(ids)?.map(({ id }) => id)).toEqual(['b', 'a', 'c'])
  })

  const second = (of: object) => [good, { id: 'k2', key: randomBytes(32), ...of }]
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  test.each([
    ['encryptionKeys', null],
    ['encryptionKeys', []],
    ['encryptionKeys', good],
    ['encryptionKeys', new Map([['k1', BYTES]])],
    ['encryptionKeys', BYTES.toString('base64')],
    ['encryptionKeys[0]', [undefined]],
    ['encryptionKeys[0]', new Array(1)],
    ['encryptionKeys[1]', [good, 'k2']],
    ...[undefined, 7, '', ' ', 'k.2', 'k 2', 'k2\n', 'ключ', 'k'.repeat(33), ['k2']].map((id) => [
      'encryptionKeys[1].id',
      second({ id }),
    ]),
    ['encryptionKeys[1].id', second({ id: BYTES.toString('base64url') })],
    ['encryptionKeys[1].id is already', second({ id: 'k1' })],
    ['encryptionKeys[2].id is already', [...second({}), { ...good, id: 'k2' }]],
    ...[
      undefined,
      null,
      7,
      [...BYTES],
      BYTES.buffer,
      new Uint16Array(16),
      new Uint8Array(),
      BYTES.subarray(1),
      Buffer.alloc(33),
      createSecretKey(Buffer.alloc(16)),
      privateKey,
      publicKey,
      createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' })),
      '',
      BYTES.toString('hex'),
      BYTES.toString('latin1'),
      BYTES.subarray(1).toString('base64'),
      Buffer.alloc(33).toString('base64'),
      `${BYTES.toString('base64')}\n`,
      ` ${BYTES.toString('base64')}`,
      `${BYTES.toString('base64')}=`,
      BYTES.toString('base64').replace('+', '-'),
      BYTES.toString('base64').replace(/.=$/, '9='),
    ].map((key) => ['encryptionKeys[1].key', second({ key })]),
  ] as [string, unknown][])('%s is named when it is wrong (%#)', (name, keys) => {
    expect(() => resolve(keys)).toThrow(ConfigurationError)
    expect(() => resolve(keys)).toThrow(`${name} `)
  })

  test('whatever is passed: keys, or an error that quotes nothing of it (P9)', () => {
    const member = fc.oneof(
      fc.anything(),
      fc.uint8Array({ minLength: 31, maxLength: 33 }),
      fc.base64String({ minLength: 40, maxLength: 48 }),
    )
    const entry = fc.oneof(fc.anything(), fc.record({ id: fc.string({ maxLength: 40 }), key: member }))
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 3 }), (keys) => {
        try {
          for (const { key } of resolve(keys) ?? []) expect(key.symmetricKeySize).toBe(32)
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigurationError)
          expect((error as Error).message).toMatch(
            /^encryptionKeys(\[\d\](\.id|\.key)?)? (must (be|have)|is already) [\w ,{}:-]+$/,
          )
        }
      }),
    )
  })

  test('neither an error nor what it returns shows a key (P9)', () => {
    const key = randomBytes(32)
    const resolved = resolveEncryptionKeys([{ id: 'k1', key }])
    const shown = `${inspect(resolved, { depth: null, showHidden: true })} ${JSON.stringify(resolved)}`
    expect(shown).toContain('k1')
    for (const encoding of ['hex', 'base64', 'base64url', 'latin1'] as const) {
      expect(shown).not.toContain(key.toString(encoding).slice(0, 8))
    }
    const text = `${key.toString('base64url')}x`
    for (const entry of [
      { id: text, key },
      { id: 'k1', key: text },
    ]) {
      const error: unknown = (() => {
        try {
          return resolveEncryptionKeys([entry])
        } catch (thrown) {
          return thrown
        }
      })()
      expect(error).toBeInstanceOf(ConfigurationError)
      expect(inspect(error, { depth: null })).not.toContain(text.slice(0, 8))
    }
  })

  test('a caller cannot change a key afterwards', () => {
    const key = Buffer.from(BYTES)
    const keys = [{ id: 'k1', key }]
    const resolved = resolveEncryptionKeys(keys)
    key.fill(0)
    keys[0] = { id: 'k2', key }
    keys.push({ id: 'k3', key })
    expect(resolved?.map(({ id, key }) => [id, key.export()])).toEqual([['k1', BYTES]])
  })

  test('a getter cannot change a member between check and use', () => {
    const reads = { entry: 0, id: 0, key: 0 }
    const entry = {
      get id() {
        return reads.id++ === 0 ? 'k1' : 'k.1'
      },
      get key() {
        return reads.key++ === 0 ? BYTES : BYTES.subarray(1)
      },
    }
    const keys = Object.defineProperty(new Array<EncryptionKey>(1), 0, {
      get: () => (reads.entry++ === 0 ? entry : undefined),
    })
    expect(resolve(keys)?.[0]?.key.export()).toEqual(BYTES)
    expect(reads).toEqual({ entry: 1, id: 1, key: 1 })
  })

  test('a getter that empties an earlier key does so too late', () => {
    const key = Buffer.from(BYTES)
    const second = {
      id: 'k2',
      get key() {
        return key.fill(0)
      },
    }
    expect(resolveEncryptionKeys([{ id: 'k1', key }, second])?.[0].key.export()).toEqual(BYTES)
  })
})
