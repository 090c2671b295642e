import { createHash, createHmac } from 'node:crypto'

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

  #digest(kind: string, identity: string): string {
    const { clientId, namespace, keySecret } = this.#options
    const hash = keySecret === undefined ? createHash('sha256') : createHmac('sha256', keySecret)
    return hash.update(JSON.stringify([kind, clientId, namespace ?? null, identity])).digest('base64url')
  }
}
