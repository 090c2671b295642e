import type { ConfidentialClientApplication, SilentFlowRequest } from '@azure/msal-node'
import { GenerationPin } from '../accounts/generation.ts'
import { type Assertion, readAssertion } from '../accounts/identity.ts'
import { encodeOrigin, signedInAt } from '../accounts/origin.ts'
import type { TokenSnapshot } from '../accounts/token-records.ts'
import { AccountEvictedError, ConfigurationError } from '../errors.ts'
import { isText } from '../guards.ts'
import { type Authorities, describeForMsal, findable, providerOf, realmNameOf } from '../msal/authority.ts'
import { mergeCaches, supersede, usableUntil, withoutExpired } from '../msal/merge.ts'
import { emptyCache, hasCredentials, type SerializedCache } from '../msal/schema.ts'
import { adoptOwnerless, divide, isOnBehalfOf, NO_OWNER, splitByOwner } from '../msal/split.ts'
import type { StoredRecord } from '../records/record.ts'
import type { Ahead, Backing } from './cache-plugin.ts'
import { answerFor, askOnBehalfOf, checkNotEvicted } from './on-behalf-of.ts'
import { checkStorable } from './store-sign-in.ts'
import { isRemoval, TokenRecordPlugin, type TokenWrite } from './token-record.ts'

/** MSAL's request, with the incoming token in the call that begins. */
export type LongRunningRequest = Omit<SilentFlowRequest, 'account'> & { oboAssertion?: string | undefined }

/**
 * Shows MSAL what was acquired for one long-running process: begun with an incoming token, and kept up with the
 * refresh token that its answer brought. It is of one generation; see {@link GenerationPin}.
 */
export class LongRunningPlugin extends TokenRecordPlugin<LongRunningRequest> {
  protected readonly mayGoUnstored = 'refreshes'
  readonly #assertion: Assertion | undefined
  readonly #pin = new GenerationPin()

  /**
   * @param assertion that the process begins with, if this client is to begin it
   * @throws {TypeError} for a session key or assertion that cannot be one
   */
  constructor(backing: Backing, sessionKey: string, assertion: string | undefined) {
    super(backing, backing.names.longRunningProcess(checkSessionKey(sessionKey)))
    this.#assertion = assertion === undefined ? undefined : readAssertion(assertion)
    if (this.#assertion?.isAppOnly) {
      throw new TypeError(
        "assertion is an application's own token: there is no user to go on for. Use acquireTokenOnBehalfOf, or " +
          'acquireTokenByClientCredential',
      )
    }
  }

  question() {
    return ['long-running', this.key, this.#assertion?.hash]
  }

  ask(client: ConfidentialClientApplication, { oboAssertion, ...request }: LongRunningRequest, ahead: Ahead) {
    if (oboAssertion !== undefined) return askOnBehalfOf(client, { ...request, oboAssertion })
    const cache = ahead.read()
    const [known] = Object.values(cache?.Account ?? {})
    const realm = ahead.origin()?.realms.at(-1)?.name
    const account = describeForMsal(known?.home_account_id ?? '', realm, cache)
    return client.acquireTokenSilent({ ...request, account })
  }

  /** The process goes on where it began. */
  override async route(authorities: Authorities, request: LongRunningRequest, ahead: Ahead): Promise<string> {
    const began = request.oboAssertion === undefined ? ahead.origin()?.realms.at(-1)?.authority : undefined
    const url = request.authority ?? (began && authorities.trusts(began) ? began : authorities.configured)
    this.asks(await authorities.describe(url))
    return url
  }

  protected override visible(loaded: TokenSnapshot): string | undefined {
    const { record, current } = loaded
    const mayBeSeen = this.#pin.admits(record?.generation, current)
    if (this.#assertion !== undefined) checkNotEvicted(this.#assertion, loaded)
    return mayBeSeen ? record?.body : undefined
  }

  protected async commit(write: TokenWrite): Promise<SerializedCache> {
    const { loaded, shown, acquired } = write
    if (isOnBehalfOf(acquired)) {
      await this.#begin(write)
      return emptyCache()
    }
    if (shown === undefined || loaded.record === undefined) return acquired
    if (isRemoval(write)) {
      await this.backing.tokens.delete(loaded.record)
      return emptyCache()
    }
    const homeAccountId = accountOf(shown)
    const { own, unnamed, others } = divide(acquired, homeAccountId)
    // Without a load before, it cannot be the answer to a refresh (P1).
    const adopted = write.followsLoad ? adoptOwnerless(unnamed, homeAccountId) : emptyCache()
    const fresh = mergeCaches(own, adopted)
    const found = findable(fresh, shown)
    if (hasCredentials(found)) {
      await this.#store(loaded, loaded.record, homeAccountId, supersede(shown, found))
    }
    return others
  }

  /** The answer to the on-behalf-of request that the process begins with. */
  async #begin({ loaded, shown, acquired }: TokenWrite): Promise<void> {
    if (this.#assertion === undefined) {
      throw new ConfigurationError(
        'forLongRunningProcess has no assertion to begin with, and the tokens are not stored: pass it the incoming ' +
          'token where acquireTokenOnBehalfOf is called',
      )
    }
    const { homeAccountId, tokens: answer } = answerFor(this.#assertion, acquired)
    if (homeAccountId === NO_OWNER) return
    checkStorable(homeAccountId)
    const tokens = findable(answer, undefined)
    const provider = providerOf(tokens, this.authority)
    const realm = { name: realmNameOf(tokens) ?? '', authority: this.authority?.url ?? '' }
    const origin = provider && encodeOrigin(signedInAt(provider, [], realm))
    const { accounts } = this.backing
    const generationKey = accounts.generationKeyOf(homeAccountId)
    if (loaded.record !== undefined && loaded.record.generationKey !== generationKey) {
      throw new ConfigurationError(
        'the session key belongs to a process of another account: make a new one for each process',
      )
    }
    const generation = await accounts.generationForAssertion(
      homeAccountId,
      this.#assertion,
      loaded.record?.generation ?? this.#pin.generation,
    )
    if (this.#pin.isEnded) throw new AccountEvictedError()
    this.#pin.join(generation)
    const base = loaded.record?.generation === generation ? shown : undefined
    const merged = supersede(base ?? emptyCache(), tokens)
    await this.#store(loaded, { generation, generationKey, origin }, homeAccountId, merged)
  }

  async #store(
    loaded: TokenSnapshot,
    { generation, generationKey, origin }: Pick<StoredRecord, 'generation' | 'generationKey' | 'origin'>,
    homeAccountId: string,
    tokens: SerializedCache,
  ): Promise<void> {
    const cache = withoutExpired(tokens, Date.now())
    const owner = { generation, generationKey, origin }
    await this.store(loaded, owner, homeAccountId, cache, usableUntil(cache))
  }
}

function accountOf(cache: SerializedCache): string {
  const [owner = NO_OWNER] = splitByOwner(cache).keys()
  return owner
}

const LONGEST_SESSION_KEY = 1024

/** @throws {TypeError} without quoting it */
export function checkSessionKey(sessionKey: unknown): string {
  const isKey = isText(sessionKey) && sessionKey.length <= LONGEST_SESSION_KEY
  if (!isKey) throw new TypeError(`sessionKey must be a string of 1 to ${LONGEST_SESSION_KEY} characters`)
  return sessionKey
}
