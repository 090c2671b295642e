import type { Accounts } from '../accounts/accounts.ts'
import type { TokenRecords, TokenSnapshot } from '../accounts/token-records.ts'
import { usableUntil } from '../msal/merge.ts'
import { isEmpty, type SerializedCache } from '../msal/schema.ts'
import type { StoredRecord } from '../records/record.ts'
import { checksumOf } from '../records/record.ts'
import { CachePlugin, type Write } from './cache-plugin.ts'

/** Where a plugin keeps what MSAL acquires. */
export interface Repositories {
  readonly accounts: Accounts
  readonly tokens: TokenRecords
}

export type TokenWrite = Write<TokenSnapshot>

/**
 * Shows MSAL one record that is no account's partition. What a call acquired leaves MSAL's memory with its commit,
 * for whether it may be kept is known only then.
 */
export abstract class TokenRecordPlugin extends CachePlugin<TokenSnapshot> {
  readonly key: string
  protected readonly tokens: TokenRecords

  constructor({ accounts, tokens }: Repositories, key: string) {
    super(accounts)
    this.tokens = tokens
    this.key = key
  }

  protected load() {
    return this.tokens.load(this.key)
  }

  protected loadForWrite() {
    return this.tokens.loadForWrite(this.key)
  }

  protected fingerprintOf({ record }: TokenSnapshot): string | undefined {
    return record && `${record.generation} ${record.expiresAt} ${checksumOf(record.body)}`
  }

  protected recordOf({ record }: TokenSnapshot) {
    return record
  }

  protected visible({ record }: TokenSnapshot): string | undefined {
    return record?.body
  }

  protected mayStay(): boolean {
    return false
  }

  protected async replace(loaded: TokenSnapshot, cache: SerializedCache): Promise<void> {
    const { generation, generationKey } = loaded.record ?? { generation: undefined }
    await this.store(loaded, { generation, generationKey }, cache, usableUntil(cache))
  }

  /**
   * Stores a cache in the record, or deletes that where nothing is of use any more.
   * @param end when the cache is of no more use, in epoch milliseconds
   */
  protected async store(
    { record, expiresAt: latest }: TokenSnapshot,
    owner: Pick<StoredRecord, 'generation' | 'generationKey'>,
    cache: SerializedCache,
    end: number,
  ): Promise<void> {
    const expiresAt = Math.min(latest, end)
    if (expiresAt > Date.now()) {
      await this.tokens.write({ ...owner, key: this.key, expiresAt, body: JSON.stringify(cache) })
    } else if (record !== undefined) {
      await this.tokens.delete(record)
    }
  }
}

/** MSAL's removeAccount emptied its memory. */
export function isRemoval({ shown, all, isIntact }: TokenWrite): boolean {
  return isIntact && shown !== undefined && isEmpty(all)
}
