import { decodeOrigin } from '../accounts/origin.ts'
import type { TokenSnapshot } from '../accounts/token-records.ts'
import type { Authorities } from '../msal/authority.ts'
import { usableUntil } from '../msal/merge.ts'
import { isEmpty, type SerializedCache } from '../msal/schema.ts'
import type { StoredRecord } from '../records/record.ts'
import { checksumOf } from '../records/record.ts'
import { type Ahead, type Backing, RecordPlugin, type Write } from './cache-plugin.ts'

export type TokenWrite = Write<TokenSnapshot>

/**
 * Shows MSAL one record that is no account's partition. What a call acquired leaves MSAL's memory with its commit,
 * for whether it may be kept is known only then.
 */
export abstract class TokenRecordPlugin<Request extends { authority?: string }> extends RecordPlugin<
  TokenSnapshot,
  Request
> {
  readonly key: string

  constructor(backing: Backing, key: string) {
    super(backing)
    this.key = key
  }

  get account(): string {
    return ''
  }

  protected load() {
    return this.backing.tokens.load(this.key)
  }

  protected loadForWrite() {
    return this.backing.tokens.loadForWrite(this.key)
  }

  protected fingerprintOf({ record }: TokenSnapshot): string | undefined {
    return record && `${record.generation} ${record.expiresAt} ${checksumOf(record.body)}`
  }

  protected recordOf({ record }: TokenSnapshot) {
    return record
  }

  protected originOf({ record }: TokenSnapshot) {
    return decodeOrigin(record?.origin)
  }

  async route(authorities: Authorities, { authority }: Request, _ahead: Ahead): Promise<string> {
    return authority ?? authorities.configured
  }

  protected visible({ record }: TokenSnapshot): string | undefined {
    return record?.body
  }

  protected mayStay(): boolean {
    return false
  }

  protected async replace(loaded: TokenSnapshot, cache: SerializedCache): Promise<void> {
    const { generation, generationKey, origin } = loaded.record ?? { generation: undefined }
    await this.store(loaded, { generation, generationKey, origin }, cache, usableUntil(cache))
  }

  /**
   * Stores a cache in the record, or deletes that where nothing is of use any more.
   * @param end when the cache is of no more use, in epoch milliseconds
   */
  protected async store(
    { record, expiresAt: latest }: TokenSnapshot,
    owner: Pick<StoredRecord, 'generation' | 'generationKey' | 'origin'>,
    cache: SerializedCache,
    end: number,
  ): Promise<void> {
    const expiresAt = Math.min(latest, end)
    if (expiresAt > Date.now()) {
      await this.backing.tokens.write({ ...owner, key: this.key, expiresAt, body: JSON.stringify(cache) })
    } else if (record !== undefined) {
      await this.backing.tokens.delete(record)
    }
  }
}

/** MSAL's removeAccount emptied its memory. */
export function isRemoval({ shown, all, isIntact }: TokenWrite): boolean {
  return isIntact && shown !== undefined && isEmpty(all)
}
