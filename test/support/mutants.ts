import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { IMPORT_MUTANTS } from './import-mutants.ts'
import { LOGOUT_MUTANTS } from './logout-mutants.ts'
import { RECORD_MUTANTS } from './record-mutants.ts'

/** One place of src and what stands there instead. `text` must occur exactly once in the file. */
export type Change = readonly [file: string, text: string, replacement: string]

const CORE_MUTANTS = {
  // Generations and evictions
  'generation ignored': [
    'accounts/generation.ts',
    "return current.kind === 'none' || (current.kind === 'known' && current.id === generation)",
    'return current !== undefined && generation !== undefined',
  ],
  'unreadable generation taken for none': [
    'accounts/generation.ts',
    "if ('unreadable' in record) return unreadable(key, record.unreadable)",
    "if ('unreadable' in record) return { kind: 'none' }",
  ],
  'pin follows the store': [
    'accounts/generation-pin.ts',
    'if (this.#generation === undefined) this.#generation = found',
    'if (found !== undefined) this.#generation = found',
  ],
  'pin never ends': [
    'accounts/generation-pin.ts',
    'found !== this.#generation)) {\n      this.#isEnded = true',
    'found !== this.#generation)) {',
  ],
  'deleted without a fence': [
    'accounts/evictions.ts',
    'await this.#records.writeFences(fences).catch((error: unknown) => fail(error, false))',
    '',
  ],
  'sign-in does not adopt the generation': [
    'accounts/accounts.ts',
    "if (current.kind === 'known') return current.id",
    "if (current.kind === 'known') return newGeneration()",
  ],
  'eviction leaves a rejection unhandled': [
    'accounts/evictions.ts',
    'await this.#records.delete(dead)',
    "await this.#records.delete(dead)\nvoid Promise.reject(new Error('nobody handles this'))",
  ],
  'token record of any generation': [
    'accounts/token-records.ts',
    'record.generation === undefined || !isValid(record.generation, current)',
    'false',
  ],
  'assertion of any age stored': [
    'accounts/accounts.ts',
    'else if (!isIssuedBefore(assertion, current.evictedAt)) return current.id',
    'else return current.id',
  ],
  'every issuer dates back': [
    'accounts/assertion.ts',
    'ENTRA_ISSUER.test(iss)',
    'iss !== ENTRA_ISSUER.source',
  ],
  'assertion of any age loads': ['kinds/on-behalf-of.ts', 'checkNotEvicted(this.#assertion, snapshot)', ''],
  'dead record taken for a base': ['kinds/on-behalf-of.ts', '(isSame ? shown : undefined)', 'shown'],
  'refresh taken for a sign-in': ['kinds/cache-plugin.ts', '&& Object.keys(cache.Account).length > 0', ''],

  // What MSAL is shown, and what is kept of what it acquired
  'cleared memory taken for whole': [
    'msal/memory.ts',
    'isIntact: hasMark(after, this.#mark)',
    'isIntact: true',
  ],
  "MSAL's snapshot kept": ['msal/memory.ts', "this.#cache.deserialize('')", ''],
  'no turns': ['msal/memory.ts', 'await turns.acquire(cache, TURN_PATIENCE)', '() => {}'],
  'contract not checked': [
    'msal/memory.ts',
    'await checkContract(cache, (run) => emptying.run(cache, run))',
    '',
  ],
  'memory not emptied': [
    'msal/memory.ts',
    'await emptying.run(this.#cache, () => this.#cache.overwriteCache())',
    '',
  ],
  'memory keeps what was acquired': [
    'kinds/cache-plugin.ts',
    'if (!this.mayStay(changes.acquired)) await turn.forgetAcquired()',
    '',
  ],
  'not split by owner': ['kinds/account.ts', 'divide(all, homeAccountId).own', 'all'],
  'lock off': ['records/records.ts', 'await this.#locks.acquire(key, half)', '() => {}'],
  'silent calls shared by all': [
    'clients/answering.ts',
    'requestKey(flow, owner, request)',
    "requestKey(flow, '', {})",
  ],
  'shared calls never forgotten': [
    'clients/shared-calls.ts',
    'if (this.#running.get(key) === running) this.#running.delete(key)',
    '',
  ],
  'app token of any tenant': ['kinds/app.ts', 'this.#check(own)', ''],
  'refresh tokens told apart by their keys': [
    'msal/merge.ts',
    "return SAME_IN_BOTH_REFRESH_TOKENS.every((member) => (replacement[member] || '') === (token[member] || ''))",
    'return replacement === token',
  ],
  'cache key components ignored': ['msal/merge.ts', "  'additionalCacheKeyComponents',\n", ''],

  // ConfidentialClients
  'state not compared': [
    'clients/authorization-response.ts',
    "if (parameter(response, 'state') !== expectedState)",
    'if (false)',
  ],
  'pending sign-in without verifier': [
    'clients/pending-sign-in.ts',
    'return { state, nonce, codeVerifier, scopes,',
    'return { state, nonce, scopes,',
  ],
  'pending sign-in without nonce': [
    'clients/pending-sign-in.ts',
    'return { state, nonce, codeVerifier, scopes,',
    'return { state, codeVerifier, scopes,',
  ],
  'sign-out ends every sign-in': [
    'clients/sign-out.ts',
    'const isCurrent = account !== undefined || generation === undefined',
    'const isCurrent = true',
  ],
  'credential drops claims': [
    'clients/token-credential.ts',
    '...(claims === undefined ? {} : { claims }),',
    '',
  ],

  // Logout callbacks
  'callback of any generation': [
    'logout.ts',
    'links.length === 0 ? [] : await accounts.current(links)',
    'links',
  ],
  'callback of any issuer': [
    'logout.ts',
    'found.links.filter((link) => matchesIssuer(link.issuer, named.issuer))',
    'found.links',
  ],

  // Remembered answers
  'remembered: text not compared': [
    'clients/remembered-answers.ts',
    'known.fingerprint !== loaded.fingerprint() ||',
    '',
  ],
  'remembered: generation not looked at': [
    'accounts/account-snapshot.ts',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a line of source
    "`${generation ?? ''}\\n${text}`",
    'text',
  ],
  'remembered: renewal offset ignored': [
    'clients/remembered-answers.ts',
    'const RENEWAL_OFFSET = 300',
    'const RENEWAL_OFFSET = 0',
  ],
  'remembered: shared by reference': ['clients/answering.ts', 'copyOf(result)', 'result'],
  'list of token records: bound lifted': [
    'accounts/token-record-list.ts',
    'const MOST_LISTED = 500',
    'const MOST_LISTED = Number.POSITIVE_INFINITY',
  ],
  'links: bound of accounts lifted': [
    'accounts/links.ts',
    'const MOST_ACCOUNTS = 64',
    'const MOST_ACCOUNTS = Number.POSITIVE_INFINITY',
  ],
  'links: bound of an account lifted': [
    'accounts/links.ts',
    'const MOST_LINKS = 32',
    'const MOST_LINKS = Number.POSITIVE_INFINITY',
  ],
  'an account stored that cannot be evicted': [
    'kinds/store-sign-in.ts',
    'checkStorable(homeAccountId)\n  const loaded',
    'const loaded',
  ],
  'readable texts: bound lifted': [
    'msal/readable.ts',
    'const MOST_REMEMBERED = 10_000',
    'const MOST_REMEMBERED = Number.POSITIVE_INFINITY',
  ],
  'remembered: fingerprint cut out of the record': [
    'clients/remembered-answers.ts',
    'Buffer.from(fingerprint).toString()',
    'fingerprint',
  ],
  'remembered: bound lifted': [
    'clients/remembered-answers.ts',
    'this.#answers.size <= this.#most.entries',
    'true',
  ],

  // Sessions
  'mark of an ended session not read': [
    'accounts/account-snapshot.ts',
    'return mark !== undefined && (this.#id === undefined || !mark.signIns.includes(this.#id))',
    'return mark === undefined && this.#id === null',
  ],
  'ended sessions count as others': [
    'accounts/sessions.ts',
    'return mark === undefined || mark.signIns.length > 0',
    'return true',
  ],

  // Secrets
  'errors quote SyntaxErrors': ['errors.ts', "name === 'SyntaxError' || ", ''],
  'errors quote records': ['errors.ts', ' || QUOTES_A_RECORD.test(message)', ''],
  'errors quote tokens': ['errors.ts', '.replace(LONG_RUN, ', '.replace(/^$/, '],
  'traces show results': ['diagnostics.ts', 'return describe(result)', 'return (describe, result)'],
  'clients show their configuration': [
    'clients.ts',
    'this.#clients = new ClientFactory(',
    'Object.assign(this, { configuration }); this.#clients = new ClientFactory(',
  ],
} as const satisfies Record<string, Change>

/**
 * Every way in which the tests break the library on purpose, by what is wrong with it then. A test that guards
 * a promise proves with one of them that it can fail. Where lines of src have moved, only this table changes.
 */
export const MUTANTS = { ...CORE_MUTANTS, ...LOGOUT_MUTANTS, ...IMPORT_MUTANTS, ...RECORD_MUTANTS }

export type MutantName = keyof typeof MUTANTS

export const SOURCES = new URL('../../src/', import.meta.url).pathname

/** The file that a mutant concerns, by its path in src, and its text with the change made. */
export function changedFile(name: MutantName): { file: string; text: string } {
  const [file, text, replacement]: Change = MUTANTS[name]
  const [before, after, ...more] = readFileSync(join(SOURCES, file), 'utf8').split(text)
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`src/${file} has not exactly one: ${text}`)
  }
  return { file, text: before + replacement + after }
}
