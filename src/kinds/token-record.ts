import { decodeOrigin } from '../accounts/origin.ts'
import type { TokenSnapshot } from '../accounts/token-records.ts'
import type { Authorities } from '../msal/authority.ts'
import { isEmpty, providerSessions, type SerializedCache } from '../msal/schema.ts'
import type { StoredRecord } from '../records/record.ts'
import { digestOf } from '../records/record.ts'
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

  protected load() {
    return this.backing.tokens.load(this.key)
  }

  protected loadForWrite() {
    return this.backing.tokens.loadForWrite(this.key)
  }

  protected fingerprintOf({ record, refused }: TokenSnapshot): string | undefined {
    return record && `${record.generation} ${record.expiresAt} ${digestOf(record.body)} ${refused.join()}`
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

  protected ownerOf({ record }: TokenSnapshot): string {
    return record?.generationKey ?? ''
  }

  protected override refusedIn({ refused }: TokenSnapshot): readonly string[] {
    return refused
  }

  protected visible({ record }: TokenSnapshot): string | undefined {
    return record?.body
  }

  protected mayStay(): boolean {
    return false
  }

  /**
   * Stores a cache in the record, or deletes that where nothing is of use any more.
   * @param end when the cache is of no more use, in epoch milliseconds
   */
  protected async store(
    { record, expiresAt: latest }: TokenSnapshot,
    owner: Pick<StoredRecord, 'generation' | 'generationKey' | 'origin'>,
    homeAccountId: string | undefined,
    cache: SerializedCache,
    end: number,
  ): Promise<void> {
    const expiresAt = Math.min(latest, end)
    if (expiresAt > Date.now()) {
      await this.backing.tokens.write(
        { ...owner, key: this.key, expiresAt, body: JSON.stringify(cache) },
        homeAccountId === undefined ? undefined : { homeAccountId, sessions: providerSessions(cache) },
      )
    } else if (record !== undefined) {
      await this.backing.tokens.delete(record)
    }
  }
}

/** MSAL's removeAccount emptied its memory. */
export function isRemoval({ shown, all, isIntact }: TokenWrite): boolean {
  return isIntact && shown !== undefined && isEmpty(all)
}
