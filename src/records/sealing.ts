import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { BoundedMap } from '../bounded-map.ts'
import type { SealingKeys } from './encryption-keys.ts'

export interface SealingOptions {
  /** Undefined: nothing is sealed, and plaintext is what records are. */
  readonly encryptionKeys: SealingKeys | undefined
  /** Whether plaintext opens although there are keys. */
  readonly allowPlaintext: boolean
}

/**
 * Why a record does not open.
 *
 * A record that was moved here from another key counts as `tampered`: what says where it belongs is what no longer
 * authenticates. Until a record has opened its first two parts are anybody's claim, so `unknown-key` and
 * `newer-version` say what to look for, not what happened.
 */
export type UnreadableReason =
  /** Sealed, and none of the keys has its key id. */
  | 'unknown-key'
  /** Altered, moved from another record key, or sealed by another key of the same id. */
  | 'tampered'
  /** Not sealed, although sealing is on. */
  | 'plaintext'
  /** Neither sealed nor the beginning of a plaintext record. */
  | 'malformed'
  /** Sealed in a format that a later release brought. */
  | 'newer-version'

export type Opened = { readonly plaintext: string } | { readonly unreadable: UnreadableReason }

const VERSION = 'v1'
const ANY_VERSION = /^v[1-9]\d*\./
const CIPHER = 'aes-256-gcm'
const IV_LENGTH = 12
const TAG_LENGTH = 16
const NO_SALT = ''

/**
 * Seals records: `v1.<key id>.<base64url(iv ‖ ciphertext ‖ tag)>`, AES-256-GCM with a subkey per record key, so that
 * a record opens nowhere but where it was written. docs/record-format.md describes it byte by byte.
 */
export class Sealing {
  /** The keys are HKDF's extracted ones. */
  readonly #first: { readonly id: string; readonly key: DerivationKey } | undefined
  readonly #keys: ReadonlyMap<string, DerivationKey>
  readonly #plaintextOpens: boolean

  constructor({ encryptionKeys: given, allowPlaintext }: SealingOptions) {
    const encryptionKeys = given?.map(({ id, key }) => ({ id, key: new DerivationKey(key) }))
    this.#first = encryptionKeys?.[0]
    this.#keys = new Map(encryptionKeys?.map(({ id, key }) => [id, key]))
    this.#plaintextOpens = encryptionKeys === undefined || allowPlaintext
  }

  /** @param recordKey the key that the record is stored under */
  seal(plaintext: string, recordKey: string): string {
    if (this.#first === undefined) return plaintext
    const { id, key } = this.#first
    const iv = randomBytes(IV_LENGTH)
    const cipher = createCipheriv(CIPHER, key.subkey(recordKey), iv, { authTagLength: TAG_LENGTH })
    cipher.setAAD(associatedData(id, recordKey))
    const ciphertext = [cipher.update(plaintext, 'utf8'), cipher.final()]
    const sealed = Buffer.concat([iv, ...ciphertext, cipher.getAuthTag()])
    return `${VERSION}.${id}.${sealed.toString('base64url')}`
  }

  /** Never throws, whatever the store returned. */
  open(stored: unknown, recordKey: string): Opened {
    if (typeof stored !== 'string') return { unreadable: 'malformed' }
    if (stored.startsWith('{')) {
      if (!this.#plaintextOpens) return { unreadable: 'plaintext' }
      return { plaintext: stored }
    }
    const [version, id, encoded, ...rest] = stored.split('.', 4)
    if (version !== VERSION) return { unreadable: ANY_VERSION.test(stored) ? 'newer-version' : 'malformed' }
    if (id === undefined || encoded === undefined || rest.length > 0) return { unreadable: 'malformed' }
    const sealed = decodeCanonical(encoded)
    if (sealed === undefined || sealed.length < IV_LENGTH + TAG_LENGTH) return { unreadable: 'malformed' }
    const key = this.#keys.get(id)
    if (key === undefined) return { unreadable: 'unknown-key' }
    try {
      return { plaintext: decrypt(sealed, key.subkey(recordKey), associatedData(id, recordKey)) }
    } catch {
      return { unreadable: 'tampered' }
    }
  }
}

/** How many subkeys are kept for each key: deriving one costs a third of what opening a record does. */
const MOST_SUBKEYS = 1000

/**
 * HKDF-SHA-256 (RFC 5869), with its first half, which does not depend on the record, done once: `hkdfSync` would do
 * both each time. Subkeys are KeyObjects, since with plain bytes Node 24 takes three times as long to encrypt
 * a record. The kept ones tell a reader of this process's memory nothing that the key itself does not.
 */
class DerivationKey {
  readonly #extracted: KeyObject
  readonly #subkeys = new BoundedMap<KeyObject>(MOST_SUBKEYS)

  constructor(key: KeyObject) {
    this.#extracted = createSecretKey(createHmac('sha256', NO_SALT).update(key.export()).digest())
  }

  subkey(recordKey: string): KeyObject {
    return this.#subkeys.getOrMake(recordKey, () => {
      const info = `msal-keyv.seal.v1.${recordKey}`
      return createSecretKey(createHmac('sha256', this.#extracted).update(`${info}\x01`).digest())
    })
  }
}

/** Unambiguous: neither a version nor a key id has a dot. */
function associatedData(keyId: string, recordKey: string): Buffer {
  return Buffer.from(`${VERSION}.${keyId}.${recordKey}`)
}

/** Node's decoder skips what it does not know and drops left-over bits; only one text may stand for a record. */
function decodeCanonical(encoded: string): Buffer | undefined {
  const bytes = Buffer.from(encoded, 'base64url')
  return bytes.toString('base64url') === encoded ? bytes : undefined
}

/** Throws unless the tag fits; nothing of the plaintext leaves before. */
function decrypt(sealed: Buffer, key: KeyObject, aad: Buffer): string {
  const iv = sealed.subarray(0, IV_LENGTH)
  const decipher = createDecipheriv(CIPHER, key, iv, { authTagLength: TAG_LENGTH })
  decipher.setAAD(aad)
  decipher.setAuthTag(sealed.subarray(-TAG_LENGTH))
  const plaintext = decipher.update(sealed.subarray(IV_LENGTH, -TAG_LENGTH))
  decipher.final()
  return plaintext.toString('utf8')
}
