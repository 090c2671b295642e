import { createHash, createHmac } from 'node:crypto'

/** Whether this is the name of an account's partition. */
export function isPartitionKey(key: string): boolean {
  return key.endsWith('_p')
}

/** The store keys of one account. Both lie in one Redis Cluster slot, which the braces decide. */
export interface AccountKeys {
  readonly partition: string
  readonly generation: string
}

export interface KeyNamesOptions {
  readonly clientId: string
  readonly namespace: string | undefined
  readonly keySecret: string | Uint8Array | undefined
}

/**
 * Names the records: `mk1_{<digest>}_<kind>`. The digest keeps account ids out of the store and lets an id hold
 * any character; the prefix never begins with a Keyv namespace, after which Keyv 5 would skip its own prefix in
 * single calls but not in batches.
 */
export class KeyNames {
  readonly #options: KeyNamesOptions

  constructor(options: KeyNamesOptions) {
    this.#options = options
  }

  account(homeAccountId: string): AccountKeys {
    const digest = this.#digest('account', homeAccountId)
    return { partition: `mk1_{${digest}}_p`, generation: `mk1_{${digest}}_g` }
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

  /** The link of a session (`sid`) or a subject (`sub`) at an identity provider. */
  link(kind: 'sid' | 'sub', issuer: string, value: string): string {
    return `mk1_{${this.#digest(kind, JSON.stringify([issuer, value]))}}_s`
  }

  /** The replay mark of a logout token that was carried out. */
  replayMark(issuer: string, jti: string): string {
    return `mk1_{${this.#digest('jti', JSON.stringify([issuer, jti]))}}_j`
  }

  #digest(kind: string, identity: string): string {
    const { clientId, namespace, keySecret } = this.#options
    const hash = keySecret === undefined ? createHash('sha256') : createHmac('sha256', keySecret)
    return hash.update(JSON.stringify([kind, clientId, namespace ?? null, identity])).digest('base64url')
  }
}
