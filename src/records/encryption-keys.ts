import { createSecretKey, KeyObject, randomBytes } from 'node:crypto'
import { types } from 'node:util'
import { ConfigurationError } from '../errors.ts'

/** A key that seals records, and the id by which a sealed record says which key opens it. */
export interface EncryptionKey {
  /**
   * Stands in clear in every record that the key seals: 1 to 32 letters, digits, `-` or `_`. A new key takes a new
   * id; one that was used before makes the older key's records unreadable.
   */
  id: string
  /** 256 bits: a secret `KeyObject`, 32 bytes, or the base64 or base64url of 32 bytes. */
  key: KeyObject | Uint8Array | string
}

/** An {@link EncryptionKey}, checked. Neither JSON nor `util.inspect` shows the key (P9). */
export interface SealingKey {
  readonly id: string
  readonly key: KeyObject
}

/** The first seals, all open. */
export type SealingKeys = readonly [SealingKey, ...SealingKey[]]

const KEY_LENGTH = 32
// Too short for a key in base64: one that is put here by mistake would be published with every record.
const ID = /^[\w-]{1,32}$/
// Exactly 32 bytes: the last of 43 digits ends in two zero bits.
const KEY_TEXT = /^(?:[\w-]{42}|[A-Za-z\d+/]{42})[AEIMQUYcgkosw048]=?$/

/**
 * A new key from the system's random source, under a random id. It is two strings, so `JSON.stringify` makes of it
 * what a vault or an environment variable can hold. Every server of an application needs the same keys.
 *
 * @example
 * ```ts
 * // once, to be put into the vault
 * console.log(JSON.stringify([generateEncryptionKey()]))
 * ```
 */
export function generateEncryptionKey(): EncryptionKey & { key: string } {
  return {
    id: randomBytes(8).toString('hex'),
    key: randomBytes(KEY_LENGTH).toString('base64url'),
  }
}

/**
 * Copies the option `encryptionKeys`, then checks the copy.
 * @throws {ConfigurationError} naming the member, without quoting it (P9)
 */
export function resolveEncryptionKeys(keys: readonly EncryptionKey[] | undefined): SealingKeys | undefined {
  if (keys === undefined) return undefined
  const copies = Array.isArray(keys) ? Array.from(keys as unknown[], copyMembers) : []
  const [first, ...others] = copies.map(checkKey)
  if (first === undefined) {
    throw new ConfigurationError('encryptionKeys must be an array of at least one { id, key }')
  }
  const ids = new Set([first.id])
  for (const [index, { id }] of others.entries()) {
    if (ids.has(id)) {
      throw new ConfigurationError(
        `encryptionKeys[${index + 1}].id is already the id of another key: give each key an id of its own`,
      )
    }
    ids.add(id)
  }
  return [first, ...others]
}

interface Members {
  readonly id: unknown
  readonly key: unknown
}

function copyMembers(entry: unknown): Members | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined
  const { id, key } = entry as Partial<EncryptionKey>
  return { id, key: types.isUint8Array(key) ? new Uint8Array(key) : key }
}

function checkKey(members: Members | undefined, index: number): SealingKey {
  const name = `encryptionKeys[${index}]`
  if (members === undefined) throw new ConfigurationError(`${name} must be an object { id, key }`)
  const { id } = members
  if (typeof id !== 'string' || !ID.test(id)) {
    throw new ConfigurationError(`${name}.id must be 1 to 32 letters, digits, - or _`)
  }
  const key = secretKey(members.key)
  if (key?.type !== 'secret' || key.symmetricKeySize !== KEY_LENGTH) {
    throw new ConfigurationError(
      `${name}.key must have 256 bits: a secret KeyObject, 32 bytes, or the base64 or base64url of 32 bytes`,
    )
  }
  return { id, key }
}

function secretKey(key: unknown): KeyObject | undefined {
  if (key instanceof KeyObject) return key
  if (types.isUint8Array(key)) return createSecretKey(key)
  if (typeof key === 'string' && KEY_TEXT.test(key)) return createSecretKey(key, 'base64')
  return undefined
}
