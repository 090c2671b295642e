import { isDeepStrictEqual } from 'node:util'
import type { ConfidentialClientApplication, SilentFlowRequest } from '@azure/msal-node'
import type { AccountSnapshot } from '../accounts/accounts.ts'
import { GenerationPin } from '../accounts/generation.ts'
import {
  type AccountRef,
  checkTenantId,
  type HostSession,
  type SignInRef,
  signInRef,
} from '../accounts/identity.ts'
import type { ProviderSession } from '../accounts/links.ts'
import {
  isSameHost,
  isSameProvider,
  type Origin,
  type Realm,
  signedInAt,
  usedAt,
} from '../accounts/origin.ts'
import { report } from '../diagnostics.ts'
import { ConfigurationError } from '../errors.ts'
import { guidOf } from '../guards.ts'
import { type Authorities, describeForMsal, findable, providerOf, realmNameOf } from '../msal/authority.ts'
import { describeAccount, memoryOf } from '../msal/call-memory.ts'
import { mergeCaches, supersede, usableUntil, withoutExpired } from '../msal/merge.ts'
import {
  countEntities,
  emptyCache,
  isEmpty,
  parseCache,
  providerSessions,
  type SerializedCache,
  unknownSections,
  withoutRefused,
} from '../msal/schema.ts'
import { adoptOwnerless, divide, isOnBehalfOf, isOnlyOf, withoutEntities } from '../msal/split.ts'
import { type Ahead, type Backing, RecordPlugin, type Write } from './cache-plugin.ts'
import { commitSignIn, ofAnotherProvider, originOfStored } from './store-sign-in.ts'

/** MSAL's request without `account`, which is the first argument. */
export type SilentRequest = Omit<SilentFlowRequest, 'account'> & {
  /** Whose token it shall be, where that is not the tenant of the sign-in: its id, or its domain name. */
  tenantId?: string | undefined
}

/** Shows MSAL one account, of one generation; see {@link GenerationPin}. */
export class AccountPlugin extends RecordPlugin<AccountSnapshot, SilentRequest> {
  protected readonly mayGoUnstored = 'refreshes'
  readonly #of: SignInRef
  readonly #pin: GenerationPin
  /** What is behind the links that the partition named when it was loaded last: a write renews them. */
  #behindLinks: readonly string[] = []
  /** The name of the realm that the call is for; undefined if only the provider can tell. */
  #realm: string | undefined
  #isAtHome = true

  /** @throws {TypeError} for an account that cannot be one */
  constructor(backing: Backing, account: HostSession | AccountRef) {
    super(backing)
    this.#of = signInRef(account)
    this.#pin = new GenerationPin(this.#of.generation)
  }

  get key(): string {
    return this.backing.accounts.keyOf(this.#of.homeAccountId)
  }

  question() {
    return ['silent', this.#of]
  }

  override get isAtHome(): boolean {
    return this.#isAtHome
  }

  async route(authorities: Authorities, request: SilentRequest, ahead: Ahead): Promise<string> {
    const tenantId = request.tenantId === undefined ? undefined : checkTenantId(request.tenantId)
    const base = await this.#base(authorities, ahead.origin())
    const url = request.authority ?? (tenantId === undefined ? base : authorities.ofTenant(tenantId, base))
    const authority = await authorities.describe(url)
    this.asks(authority)
    const own = this.#own(ahead.origin())?.name
    this.#realm = url === base ? own : this.#realmAt(authority.url, tenantId, ahead.origin())
    this.#isAtHome = this.#realm === own
    return url
  }

  /** The authority of the sign-in; the configured one where that is not known, or not to be asked any more. */
  home({ configured, trusts }: Authorities, origin: Origin | undefined): string {
    const url = this.#own(origin)?.authority
    return url && trusts(url) ? url : configured
  }

  /** An id alone means an account of the configured provider, whoever else has one of that name. */
  async #base(authorities: Authorities, origin: Origin | undefined): Promise<string> {
    const { configured } = authorities
    const mayFollow = this.#of.generation !== undefined || origin === undefined
    if (!mayFollow && !isSameProvider(origin, await authorities.describe(configured))) return configured
    return this.home(authorities, origin)
  }

  /** Where the host's session began, or else the account's home. */
  #own(origin: Origin | undefined): Realm | undefined {
    const { tenantId, homeAccountId } = this.#of
    const [, home] = homeAccountId.toLowerCase().split('.')
    const named = (name: string | undefined) => origin?.realms.findLast((realm) => realm.name === name)
    return named(tenantId) ?? named(home) ?? origin?.realms.at(-1)
  }

  #realmAt(url: string, tenantId: string | undefined, origin: Origin | undefined): string | undefined {
    const names = [tenantId, ...new URL(url).pathname.toLowerCase().split('/')].filter(Boolean)
    const [, home] = this.#of.homeAccountId.toLowerCase().split('.')
    if (names.some((name) => name === 'common' || name === 'organizations')) return home
    const realms = origin?.realms ?? []
    const known =
      realms.find(({ name }) => names.includes(name)) ?? realms.find(({ authority }) => authority === url)
    return known?.name ?? names.find((name) => guidOf(name) !== undefined)
  }

  async ask(client: ConfidentialClientApplication, { tenantId: _, ...request }: SilentRequest, ahead: Ahead) {
    const account = describeForMsal(this.#of.homeAccountId, this.#realm, ahead.read())
    const result = await client.acquireTokenSilent({ ...request, account })
    if (result.account !== null) return result
    return { ...result, account: describeAccount(memoryOf(client), this.#of.homeAccountId, result) }
  }

  protected load() {
    return this.backing.accounts.load(this.#of)
  }

  protected loadForWrite() {
    return this.backing.accounts.loadForWrite(this.#of, this.#behindLinks)
  }

  protected fingerprintOf({ fingerprint }: AccountSnapshot): string | undefined {
    return fingerprint
  }

  protected recordOf({ partition }: AccountSnapshot) {
    return partition
  }

  protected originOf({ partition }: AccountSnapshot) {
    return partition && originOfStored(partition)
  }

  protected ownerOf(): string {
    return this.backing.accounts.generationKeyOf(this.#of.homeAccountId)
  }

  protected override refusedIn({ refused }: AccountSnapshot): readonly string[] {
    return refused
  }

  protected visible(loaded: AccountSnapshot): string | undefined {
    const { partition, current, isSessionEnded } = loaded
    if (isSessionEnded) this.#pin.end()
    if (!this.#pin.admits(partition?.generation, current)) return undefined
    this.#behindLinks = this.backing.accounts.keysBehind(this.#of.homeAccountId, partition?.links ?? [])
    return this.#isOfClientsProvider(loaded) ? partition?.cache : undefined
  }

  /** Two providers may each have an account of this id: a client of one is shown nothing of the other's (P16). */
  #isOfClientsProvider(loaded: AccountSnapshot): boolean {
    const [origin, authority] = [this.originOf(loaded), this.authority]
    if (origin === undefined || authority === undefined) return true
    return origin.issuer === '' ? isSameHost(origin, authority) : isSameProvider(origin, authority)
  }

  protected mayStay(acquired: SerializedCache): boolean {
    return isOnlyOf(this.#of.homeAccountId, acquired) && !isOnBehalfOf(acquired)
  }

  protected async commit(write: Write<AccountSnapshot>): Promise<SerializedCache> {
    const { loaded, shown, all, acquired, followsLoad } = write
    if (isOnBehalfOf(acquired)) {
      report('msal-keyv:dropped-entities', { count: countEntities(acquired) })
      return emptyCache()
    }
    const { homeAccountId } = this.#of
    const { unnamed, others } = divide(acquired, homeAccountId)
    // Only the answer to this account's own refresh, which a load came before, can be the account's without saying so.
    const mayAdopt = followsLoad && shown !== undefined && Object.keys(shown.RefreshToken).length > 0
    const adopted = mayAdopt ? adoptOwnerless(unnamed, homeAccountId) : emptyCache()
    const dropped = countEntities(unnamed) - countEntities(adopted)
    if (dropped > 0) report('msal-keyv:dropped-entities', { count: dropped })

    const fresh = findable(mergeCaches(divide(acquired, homeAccountId).own, adopted), shown)
    const isElsewhere = followsLoad && !this.#isOwn(fresh, loaded)
    // The sign-in goes on with the refresh token that it has.
    const kept = isElsewhere ? { ...fresh, RefreshToken: shown?.RefreshToken ?? {} } : fresh
    const own = supersede(withoutEntities(divide(all, homeAccountId).own, acquired), kept)
    if (this.#pin.isEnded) this.#refuse(own)
    else if (shown === undefined) await this.#signIn(loaded, own, followsLoad)
    else await this.#update(write, shown, own, kept)
    return others
  }

  /** Whether an answer is of the tenant of the sign-in, or of the account's home if there is no session. */
  #isOwn(fresh: SerializedCache, loaded: AccountSnapshot): boolean {
    const [name, own] = [realmNameOf(fresh), this.#own(this.originOf(loaded))]
    return name === undefined || own === undefined ? this.#isAtHome : name === own.name
  }

  /** Where the account's tokens come from after this answer. */
  #originAfter(fresh: SerializedCache, loaded: AccountSnapshot, followsLoad: boolean): Origin | undefined {
    const origin = this.originOf(loaded)
    const provider = providerOf(fresh, this.authority)
    if (isEmpty(fresh) || origin === undefined) return origin
    const isSame = provider?.issuer === '' ? isSameHost : isSameProvider
    if (provider === undefined || !isSame(origin, provider)) throw ofAnotherProvider(this.#of.homeAccountId)
    const name = realmNameOf(fresh)
    if (name === undefined) return origin
    const realm = { name, authority: this.authority?.url ?? '' }
    return followsLoad ? usedAt(origin, realm) : signedInAt(origin, origin.realms, realm)
  }

  async #update(
    { loaded, isIntact, hasChanged, followsLoad }: Write<AccountSnapshot>,
    shown: SerializedCache,
    own: SerializedCache,
    fresh: SerializedCache,
  ): Promise<void> {
    const { homeAccountId } = this.#of
    // MSAL's removeAccount.
    if (isIntact && isEmpty(own)) {
      await this.backing.accounts.evict([homeAccountId])
      return
    }
    if (isIntact && !hasChanged) throw nothingDone()
    // Memory that was cleared in between says nothing about what is gone.
    const next = isIntact ? { ...own, ...unknownSections(shown) } : supersede(shown, fresh)
    const cache = withoutExpired(next, Date.now())
    const origin = this.#originAfter(fresh, loaded, followsLoad)
    if (!isDeepStrictEqual(cache, shown)) await this.#replace(loaded, cache, origin)
  }

  /** Stores a cache in place of what was loaded, or deletes that if nothing is of use any more. */
  async #replace(loaded: AccountSnapshot, cache: SerializedCache, origin: Origin | undefined): Promise<void> {
    const { homeAccountId } = this.#of
    const expiresAt = usableUntil(cache)
    if (expiresAt > Date.now()) {
      const update = {
        generation: this.backing.accounts.generationFor(loaded),
        cache: JSON.stringify(cache),
        origin,
        expiresAt,
      }
      const refreshing = this.#of
      await this.backing.accounts.commit(homeAccountId, loaded, update, {
        sessions: this.#sessions(cache),
        refreshing,
      })
    } else {
      await this.backing.accounts.remove(homeAccountId)
    }
  }

  /** Those of the ID tokens, and the host's own, which somebody else's write may have displaced. */
  #sessions(cache: SerializedCache): ProviderSession[] {
    const sessions = providerSessions(cache)
    const { sid } = this.#of
    if (sid === undefined || sessions.some((each) => each.sid === sid)) return sessions
    return [
      ...sessions,
      ...sessions.map(({ issuer, sid: named }) =>
        named === undefined ? { issuer, sessionState: sid } : { issuer, sid },
      ),
    ]
  }

  async #signIn(loaded: AccountSnapshot, own: SerializedCache, followsLoad: boolean): Promise<void> {
    if (isEmpty(own)) {
      // A refresh would have shown its refresh token before: this was removeAccount, of what cannot be read here.
      if (loaded.isUnreadable && !followsLoad) throw nothingDone()
      return
    }
    const { generation } = this.#pin
    const joined = await commitSignIn(this.backing.accounts, this.#of.homeAccountId, loaded, own, {
      generation,
      authority: this.authority,
    })
    if (joined !== undefined) this.#pin.join(joined.generation)
  }

  /** MSAL itself saves no refresh of an account that it was not shown, so an account here is a new sign-in. */
  #refuse(own: SerializedCache): void {
    report('msal-keyv:refused-write', { key: this.key })
    if (Object.keys(own.Account).length === 0) return
    throw new ConfigurationError(
      'a sign-in was acquired through a plugin that is bound to an evicted one, and is not stored: ' +
        'sign in through a client whose cachePlugin is the KeyvCachePlugin itself',
    )
  }
}

/** What a host session, or whoever has the account's id, is signed in with. */
export function signedInCache({ signedIn, refused }: AccountSnapshot): string | undefined {
  if (signedIn === undefined || refused.length === 0) return signedIn?.cache
  const cache = parseCache(signedIn.cache)
  const isUsable = cache !== undefined && usableUntil(withoutRefused(cache, refused)) > Date.now()
  return isUsable ? signedIn.cache : undefined
}

function nothingDone(): ConfigurationError {
  return new ConfigurationError(
    'nothing was removed or stored: MSAL removes an account only as getAllAccounts returned it, and only where the ' +
      'record can be read; call plugin.evictAccount(homeAccountId) instead. acquireTokenByRefreshToken needs ' +
      'forceCache: true',
  )
}
