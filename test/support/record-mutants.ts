import type { Change } from './mutants.ts'

const ASSOCIATED_DATA = 'function associatedData(keyId: string, recordKey: string): Buffer {'

/** The part of the table of mutants that concerns records and the store; see mutants.ts. */
export const RECORD_MUTANTS = {
  'failed read taken for a miss': [
    'store/keyv-store.ts',
    'if (call.failed && found.includes(undefined)) throw call.error',
    '',
  ],
  'record of any key': ['records/record.ts', 'if (itsKey !== key)', 'if (!itsKey)'],
  'malformed body not reported': ['kinds/cache-plugin.ts', 'reportMalformed(this.key)', 'this.key'],
  'record outlives its tokens': [
    'accounts/accounts.ts',
    'Math.min(snapshot.expiresAt, end)',
    'snapshot.expiresAt',
  ],
  'access tokens do not count': [
    'msal/merge.ts',
    'Math.max(lastUseOf(cache), ...idTokens)',
    'Math.max(...idTokens)',
  ],
  'tag not checked': ['records/sealing.ts', 'decipher.final()', ''],
  'no authenticated data': [
    'records/sealing.ts',
    ASSOCIATED_DATA,
    `${ASSOCIATED_DATA} return Buffer.alloc(0)`,
  ],
  'key id not authenticated': ['records/sealing.ts', ASSOCIATED_DATA, `${ASSOCIATED_DATA} keyId = ''`],
  'record key not authenticated': [
    'records/sealing.ts',
    ASSOCIATED_DATA,
    `${ASSOCIATED_DATA} recordKey = ''`,
  ],
  'one subkey for all': [
    'records/sealing.ts',
    'subkey(recordKey: string): KeyObject {',
    "subkey(recordKey: string): KeyObject { recordKey = ''",
  ],
  'record key in nothing': [
    'records/sealing.ts',
    'this.#first = encryptionKeys?.[0]',
    `this.#first = encryptionKeys?.[0]
     const { seal, open } = this
     this.seal = (plaintext) => seal.call(this, plaintext, '')
     this.open = (stored) => open.call(this, stored, '')`,
  ],
  'any spelling': [
    'records/sealing.ts',
    "return bytes.toString('base64url') === encoded ? bytes : undefined",
    'return bytes',
  ],
  'every SyntaxError taken for a damaged value': [
    'store/keyv-store.ts',
    'if (!mayBeUnparseable(this.#keyv, error) || !(await isUnparseable(this.#keyv, key))) throw error',
    'if (!mayBeUnparseable(this.#keyv, error)) throw error',
  ],
  'a timeout before the answer that is there': [
    'store/keyv-store.ts',
    'setTimeout(() => setImmediate(expire), timeout)',
    'setTimeout(expire, timeout)',
  ],
} as const satisfies Record<string, Change>
