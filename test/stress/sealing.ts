import { resolveEncryptionKeys } from '../../src/records/encryption-keys.ts'
import { Sealing } from '../../src/records/sealing.ts'
import { keysOf } from '../support/stored.ts'

/** The same in every process. */
export const encryptionKeys = [{ id: 'stress', key: Buffer.alloc(32, 7).toString('base64url') }]

const sealing = new Sealing({ encryptionKeys: resolveEncryptionKeys(encryptionKeys), allowPlaintext: false })

/** What is sealed in an account's record. */
export function openRecord(stored: string, homeAccountId: string): string {
  const opened = sealing.open(stored, keysOf(homeAccountId).partition)
  if ('unreadable' in opened) throw new Error(`a record in the store is ${opened.unreadable}`)
  return opened.plaintext
}
