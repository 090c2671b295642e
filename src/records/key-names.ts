import { createHmac, hash } from 'node:crypto'
import { BoundedMap } from '../bounded-map.ts'

/** Whether this is the name of a long-running process's record, which holds a refresh token. */
export function isLongRunning(key: string): boolean {
  return key.endsWith('_l')
}

/** Whether this is the name of a record of tokens acquired on behalf of an account. */
export function isAccountsTokenRecord(key: string): boolean {
  return key.endsWith('_o') || isLongRunning(key)
}

/** Whether this is the name of an account's partition. */
export function isPartitionKey(key: string): boolean {
  return key.endsWith('_p')
}

/** The store keys of one account. All lie in one Redis Cluster slot, which the braces decide. */
export interface AccountKeys {
  readonly partition: string
  readonly generation: string
  /** The list of its token records. */
  readonly list: string
  /** The refresh token that its provider has refused. */
  readonly refusal: string
}

/** The keys of the account that has this generation record. */
export function accountKeys(generationKey: string): AccountKeys {
  const name = generationKey.slice(0, -1)
  return {
    partition: `${name}p`,
    generation: generationKey,
    list: `${name}i`,
    refusal: refusalKey(generationKey),
  }
}

/** What leads to an account. */
export type LinkKind = 'sid' | 'session_state' | 'sub' | 'directory'

const LINK_SUFFIXES: Record<LinkKind, string> = { sid: 's', session_state: 'u', sub: 'n', directory: 'd' }

/** Whether a link leads from a session that an ID token names, from one that only a browser names, or from no session. */
export function linkKind(key: string): 'signed' | 'unsigned' | 'other' {
  if (key.endsWith('_s')) return 'signed'
  return key.endsWith('_u') ? 'unsigned' : 'other'
}

/** Where the refusal of a record's refresh tokens is: see `TokenRecords.refuse`. */
export function refusalKey(key: string): string {
  return `${key.slice(0, -1)}r`
}

export interface KeyNamesOptions {
  readonly clientId: string
  readonly namespace: string | undefined
  readonly keySecret: string | Uint8Array | undefined
}

/** Of how many accounts and sessions the names are kept: a call needs them more than once, and the next one again. */
const MOST_NAMED = 1000

/**
 * Names the records: `mk1_{<digest>}_<kind>`. The digest keeps account ids out of the store and lets an id hold
 * any character; the prefix never begins with a Keyv namespace, after which Keyv 5 would skip its own prefix in
 * single calls but not in batches.
 */
export class KeyNames {
  readonly #options: KeyNamesOptions
  readonly #accounts = new BoundedMap<AccountKeys>(MOST_NAMED)
  readonly #sids = new BoundedMap<string>(MOST_NAMED)

  constructor(options: KeyNamesOptions) {
    this.#options = options
  }

  account(homeAccountId: string): AccountKeys {
    return this.#accounts.getOrMake(homeAccountId, () =>
      accountKeys(`mk1_{${this.#digest('account', homeAccountId)}}_g`),
    )
  }

  /** The record of the application's own tokens for one tenant. */
  app(tenantId: string): string {
    return `mk1_{${this.#digest('app', tenantId.toLowerCase())}}_a`
  }

  /** @param hash of the incoming token, which itself goes nowhere */
  assertion(hash: string): string {
    return `mk1_{${this.#digest('assertion', hash)}}_o`
  }

  longRunningProcess(sessionKey: string): string {
    return `mk1_{${this.#digest('long-running process', sessionKey)}}_l`
  }

  /**
   * The link of a session, a subject, or a directory user at an identity provider.
   * @param realm the issuer, or a directory user's tenant
   */
  link(kind: LinkKind, realm: string, value: string): string {
    return `mk1_{${this.#digest(kind, JSON.stringify([realm, value]))}}_${LINK_SUFFIXES[kind]}`
  }

  /** The epoch of one of an account's sessions. It lies where the account's partition does. */
  epoch(homeAccountId: string, sidDigest: string): string {
    return `${this.account(homeAccountId).generation.slice(0, -1)}e_${sidDigest}`
  }

  sidDigest(sid: string): string {
    return this.#sids.getOrMake(sid, () => this.#digest('ended', sid))
  }

  /** The replay mark of a logout token that was carried out. */
  replayMark(issuer: string, jti: string): string {
    return `mk1_{${this.#digest('jti', JSON.stringify([issuer, jti]))}}_j`
  }

  #digest(kind: string, identity: string): string {
    const { clientId, namespace, keySecret } = this.#options
    const named = JSON.stringify([kind, clientId, namespace ?? null, identity])
    if (keySecret === undefined) return hash('sha256', named, 'base64url')
    return createHmac('sha256', keySecret).update(named).digest('base64url')
  }
}
