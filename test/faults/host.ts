import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setTimeout as pass } from 'node:timers/promises'
import type { AuthenticationResult } from '@azure/msal-node'
import { expect } from 'vitest'
import {
  ConfidentialClients,
  EvictionError,
  type HostSession,
  type KeyvLike,
  LogoutHandler,
  StoreUnavailableError,
} from '../../src/index.ts'
import { damage } from '../support/damage.ts'
import { EntraStandIn, type Held, SCOPES, type User } from '../support/entra.ts'
import { isStored, keysOf, storedText } from '../support/stored.ts'
import { OPERATIONS, type Operation, type Outcome, type Row } from './table.ts'

/** A fault of a store, forced. */
export interface Fault {
  inject(): unknown
  /** Before each operation, for a fault that has to be renewed. */
  renew?(operation: Operation): unknown
  heal(): unknown
}

const RESUMED = 8_000
let resources = 0

/** Of a resource that has no token yet, and so long that the record does not fit in the place that it had. */
function newScopes(): string[] {
  return [`api://${'a'.repeat(6_000)}-${resources++}/read`]
}
const UNREADABLE = 'msal-keyv:unreadable-record'
const ISSUER = 'https://login.microsoftonline.com/{tenantid}/v2.0'

/** One process of a host, and what its users do to it while its store fails. */
export class FaultyHost {
  readonly entra: EntraStandIn
  readonly msal: ConfidentialClients
  /** Makes up the users of `suffer`. */
  newUser: () => User | Promise<User> = () => this.entra.user()
  readonly #keyv: KeyvLike
  readonly #logout: LogoutHandler

  constructor(keyv: KeyvLike, storeTimeout: number, entra = new EntraStandIn({ size: 'small' })) {
    this.entra = entra
    this.#keyv = keyv
    this.msal = new ConfidentialClients(entra.configuration(), { store: keyv, storeTimeout })
    this.#logout = new LogoutHandler(this.msal, { issuer: ISSUER, jwks: { keys: [] } })
  }

  async signIn(user: User): Promise<HostSession> {
    return (await this.entra.enter(this.msal, user)).session
  }

  silent(
    session: HostSession,
    options: { forceRefresh?: boolean; scopes?: string[] } = {},
  ): Promise<AuthenticationResult> {
    return this.msal.acquireTokenSilent(session, { scopes: SCOPES, ...options })
  }

  /** A refresh that waits for the provider's answer. */
  async beginRefresh(session: HostSession): Promise<{ held: Held; done: Promise<AuthenticationResult> }> {
    const held = this.entra.hold(
      ({ grant, homeAccountId }) => grant === 'refresh_token' && homeAccountId === session.homeAccountId,
    )
    const done = this.silent(session, { scopes: newScopes() })
    done.catch(() => {})
    const first = await Promise.race([held.arrived.then(() => 'request'), done.then(() => 'answer')])
    expect(first).toBe('request')
    return { held, done }
  }

  evict({ homeAccountId }: HostSession): Promise<unknown> {
    return this.msal.plugin.evictAccount(homeAccountId)
  }

  async logoutCallback(user: User): Promise<unknown> {
    const query = new URLSearchParams({ iss: this.entra.issuerFor(user.tid), sid: user.sid ?? '' })
    const outcome = await this.#logout.handle({ method: 'GET', url: `/logout?${query}` })
    if (outcome.error) throw outcome.error
    expect(outcome).toMatchObject({
      status: 200,
      result: expect.stringMatching(/^(evicted|unknown-session)$/),
    })
    return outcome
  }

  isSignedIn({ homeAccountId }: HostSession): Promise<boolean> {
    return isStored(this.msal.plugin, homeAccountId)
  }

  /**
   * Does the five things under the fault, and then shows that nobody was harmed by it.
   * @param earlier another process, which the users signed in to before this one was started
   * @param later another one, which takes its place
   */
  async suffer(
    fault: Fault,
    earlier: FaultyHost = this,
    later: () => Promise<FaultyHost> = async () => this,
  ): Promise<{ measured: Record<Operation, Outcome>; resumption: number }> {
    const users = {
      silent: await this.newUser(),
      refreshing: await this.newUser(),
      new: await this.newUser(),
      evicted: await this.newUser(),
      loggedOut: await this.newUser(),
      evictedBefore: await this.newUser(),
    }
    const silent = await earlier.signIn(users.silent)
    const refreshing = await earlier.signIn(users.refreshing)
    const evicted = await earlier.signIn(users.evicted)
    const loggedOut = await earlier.signIn(users.loggedOut)
    const evictedBefore = await earlier.signIn(users.evictedBefore)
    const refresh = earlier === this ? await this.beginRefresh(refreshing) : undefined
    const lateRefresh = await earlier.beginRefresh(evictedBefore)
    await earlier.evict(evictedBefore)

    await fault.inject()
    const measured = {} as Record<Operation, Outcome>
    const run: Record<Operation, () => Promise<unknown>> = {
      'silent hit': () => this.silent(silent),
      refresh: () => {
        refresh?.held.release()
        return refresh?.done ?? this.silent(refreshing, { scopes: newScopes() })
      },
      'sign-in': () => this.signIn(users.new),
      eviction: () => this.evict(evicted),
      'logout callback': () => this.logoutCallback(users.loggedOut),
    }
    for (const operation of OPERATIONS) {
      await fault.renew?.(operation)
      measured[operation] = await measure(run[operation], operation)
    }
    lateRefresh.held.release()
    await lateRefresh.done.catch(() => {})

    await fault.heal()
    const host = await later()
    const resumption = await host.#resume(silent)
    await host.#checkNobodyIsHarmed(
      users,
      { silent, refreshing, evicted, loggedOut, evictedBefore },
      measured,
    )
    return { measured, resumption }
  }

  /** Does the five things when Keyv can no longer parse the users' records: reported, and healed by a sign-in. */
  async sufferDamage(): Promise<{ measured: Record<Operation, Outcome>; resumption: number }> {
    const other = await this.signIn(await this.newUser())
    const reported = new Set<unknown>()
    const note = (event: unknown) => void reported.add((event as { key: string }).key)
    subscribe(UNREADABLE, note)
    let damaged: string[] = []
    const outcome = await this.sufferLoss(async (users) => {
      damaged = users.map(({ homeAccountId }) => keysOf(homeAccountId).partition)
      for (const key of damaged) await damage(this.#keyv, key)
    })
    unsubscribe(UNREADABLE, note)
    expect(damaged).toEqual(expect.arrayContaining([...reported]))
    expect(reported.size).toBeGreaterThan(0)
    expect((await this.silent(other)).fromCache).toBe(true)
    return outcome
  }

  /** Does the five things when the users' records are lost, and then shows that everybody can sign in again. */
  async sufferLoss(
    lose: (users: readonly User[]) => unknown,
  ): Promise<{ measured: Record<Operation, Outcome>; resumption: number }> {
    const users = {
      silent: await this.newUser(),
      refreshing: await this.newUser(),
      again: await this.newUser(),
      evicted: await this.newUser(),
      loggedOut: await this.newUser(),
    }
    const silent = await this.signIn(users.silent)
    const refreshing = await this.signIn(users.refreshing)
    await this.signIn(users.again)
    const evicted = await this.signIn(users.evicted)
    const loggedOut = await this.signIn(users.loggedOut)
    const refresh = await this.beginRefresh(refreshing)

    await lose(Object.values(users))
    const refreshed = () => {
      refresh.held.release()
      return refresh.done
    }
    const measured = {
      'silent hit': await measure(() => this.silent(silent), 'silent hit'),
      refresh: await measure(refreshed, 'refresh'),
      'sign-in': await measure(() => this.signIn(users.again), 'sign-in'),
      eviction: await measure(() => this.evict(evicted), 'eviction'),
      'logout callback': await measure(() => this.logoutCallback(users.loggedOut), 'logout callback'),
    }
    await this.#checkSignedOut(evicted)
    await this.#checkSignedOut(loggedOut)
    for (const user of Object.values(users)) {
      const { accessToken } = await this.silent(await this.signIn(user), { forceRefresh: true })
      expect(this.entra.ownerOf(accessToken)?.homeAccountId).toBe(user.homeAccountId)
    }
    return { measured, resumption: 0 }
  }

  /** How many milliseconds until a call succeeds, without anybody doing anything about it; 0 for the first call. */
  async #resume(session: HostSession): Promise<number> {
    const start = performance.now()
    for (let attempts = 1; ; attempts++) {
      try {
        await this.silent(session)
        return attempts === 1 ? 0 : performance.now() - start
      } catch (error) {
        expect(error).toBeInstanceOf(StoreUnavailableError)
        if (performance.now() - start > RESUMED) throw error
        await pass(10)
      }
    }
  }

  async #checkNobodyIsHarmed(
    users: Record<'silent' | 'refreshing' | 'new' | 'evicted' | 'loggedOut' | 'evictedBefore', User>,
    sessions: Record<'silent' | 'refreshing' | 'evicted' | 'loggedOut' | 'evictedBefore', HostSession>,
    measured: Record<Operation, Outcome>,
  ): Promise<void> {
    const { silent, refreshing, evicted, loggedOut, evictedBefore } = sessions
    // An acknowledged eviction holds, whatever was in flight.
    await this.#checkSignedOut(evictedBefore)
    for (const [session, operation] of [
      [evicted, 'eviction'],
      [loggedOut, 'logout callback'],
    ] as const) {
      const outcome = measured[operation]
      const isFinal = outcome === 'works' || outcome.includes('evicted;')
      if (!isFinal) await this.evict(session)
      await this.#checkSignedOut(session)
    }
    const again = [users.new, users.evicted, users.loggedOut, users.evictedBefore]
    const fresh = await Promise.all(again.map((user) => this.signIn(user)))
    for (const session of [silent, refreshing, ...fresh]) {
      const { accessToken } = await this.silent(session, { forceRefresh: true })
      expect(this.entra.ownerOf(accessToken)?.homeAccountId).toBe(session.homeAccountId)
    }
    for (const { homeAccountId } of Object.values(users)) {
      const owners = this.entra.tokensIn(await storedText(this.#keyv, homeAccountId))
      expect(owners.length).toBeGreaterThan(0)
      expect(new Set(owners.map((token) => token.homeAccountId))).toEqual(new Set([homeAccountId]))
    }
  }

  async #checkSignedOut(session: HostSession): Promise<void> {
    expect(await this.isSignedIn(session)).toBe(false)
    for (const account of [session, { homeAccountId: session.homeAccountId }]) {
      await expect(this.msal.acquireTokenSilent(account, { scopes: SCOPES })).rejects.toMatchObject({
        errorCode: 'no_tokens_found',
      })
    }
  }

  /** That the operations came to what the table says. */
  check(row: Row, { measured, resumption }: Awaited<ReturnType<FaultyHost['suffer']>>): void {
    expect(measured).toEqual(row.outcomes)
    if (row.resumes === 'at the next call') expect(resumption).toBe(0)
  }
}

async function measure(run: () => Promise<unknown>, operation: Operation): Promise<Outcome> {
  return run().then(
    (result) => (isNobody(result) ? ('finds nobody' as const) : ('works' as const)),
    (error: unknown) => outcomeOf(error, operation),
  )
}

function outcomeOf(error: unknown, operation: Operation): Outcome {
  const cause = error instanceof EvictionError ? error.cause : error
  if (isSignedOut(error)) return 'signed out'
  if (!(cause instanceof StoreUnavailableError)) throw error
  const what = `${cause.operation} ${cause.timedOut ? 'times out' : 'fails'}`
  const fenced = error instanceof EvictionError && error.fenced ? `evicted; ${what}` : undefined
  if (operation === 'logout callback') return `503: ${fenced ?? what}` as Outcome
  if (operation === 'eviction') return (fenced ?? `not evicted: ${what}`) as Outcome
  return what as Outcome
}

function isNobody(result: unknown): boolean {
  return (result as { result?: unknown } | undefined)?.result === 'unknown-session'
}

function isSignedOut(error: unknown): boolean {
  return (error as { errorCode?: unknown }).errorCode === 'no_tokens_found'
}

/** Fails the suite if anything gets where it would end the process. */
export function watchForCrashes(): { check(): void } {
  const escaped: unknown[] = []
  const note = (error: unknown) => void escaped.push(error)
  process.on('unhandledRejection', note)
  process.on('uncaughtException', note)
  return {
    check() {
      process.off('unhandledRejection', note)
      process.off('uncaughtException', note)
      expect(escaped).toEqual([])
    },
  }
}
