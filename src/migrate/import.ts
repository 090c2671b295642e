import type { AccountSnapshot, Accounts } from '../accounts/accounts.ts'
import { importedGeneration } from '../accounts/generation.ts'
import { checkHomeAccountId } from '../accounts/identity.ts'
import { report } from '../diagnostics.ts'
import { providerOf, realmsOf } from '../msal/authority.ts'
import { underOneName, usableUntil, withoutExpired } from '../msal/merge.ts'
import { countEntities, environmentsOf, providerSessions } from '../msal/schema.ts'
import { type SalvagedAccount, salvage } from './salvage.ts'

/** What became of a cache that was imported. */
export interface ImportReport {
  imported: ImportedAccount[]
  skipped: SkippedAccount[]
  /**
   * How many entities belong to no account of this application: tokens of other client ids and of the application
   * itself, tokens that were acquired on behalf of a user, and what MSAL could not read. Where one account was asked for,
   * also those of all others.
   */
  dropped: number
}

/** An account that was imported, as the host may keep it in its session: see `HostSession`. */
export interface ImportedAccount {
  homeAccountId: string
  generation: string
}

/** An account that was not imported, and why. */
export type SkippedAccount =
  /** It is stored already, by a sign-in or by an earlier import, and has not been evicted. */
  | { homeAccountId: string; reason: 'stored'; generation: string }
  | {
      homeAccountId: string
      /**
       * - `evicted`: it was evicted within the last 90 days, on whichever server. It may have signed in again since:
       *   the session of that sign-in goes on, and no other
       * - `unreadable`: a record of it is there that this server cannot open, or that has just expired
       * - `expired`: it has no refresh token of this application, and all its other tokens have expired
       * - `incomplete`: its tokens are there, and MSAL's entity of the account itself is not
       * - `on-behalf-of`: all its access tokens were acquired on behalf of the user, who never signed in here
       * - `several-authorities`: it has tokens of several authorities, and the id does not tell whether it is one person
       * - `invalid-id`: its id is one that `evictAccount` refuses
       */
      reason:
        | 'evicted'
        | 'unreadable'
        | 'expired'
        | 'incomplete'
        | 'on-behalf-of'
        | 'several-authorities'
        | 'invalid-id'
    }

type Outcome = ImportedAccount | SkippedAccount

/** How many accounts are imported at once. */
const AT_ONCE = 16

/** See `importCache`. */
export async function importInto(
  accounts: Accounts,
  clientId: string,
  serialized: unknown,
  only: string | undefined,
): Promise<ImportReport> {
  if (only !== undefined) checkHomeAccountId(only)
  const salvaged = typeof serialized === 'string' ? salvage(serialized, clientId) : undefined
  if (salvaged === undefined) {
    throw new TypeError("serialized must be a token cache as MSAL's tokenCache.serialize() returns it")
  }
  let { dropped } = salvaged
  const wanted: [string, SalvagedAccount][] = []
  for (const account of salvaged.accounts) {
    if (only === undefined || account[0] === only) wanted.push(account)
    else dropped += countEntities(account[1].cache)
  }
  if (dropped > 0) report('msal-keyv:dropped-entities', { count: dropped })
  const outcomes: Outcome[] = []
  for (let begin = 0; begin < wanted.length; begin += AT_ONCE) {
    outcomes.push(...(await importTogether(accounts, wanted.slice(begin, begin + AT_ONCE))))
  }
  return { imported: outcomes.filter(isImported), skipped: outcomes.filter(isSkipped), dropped }
}

async function importTogether(
  accounts: Accounts,
  salvaged: readonly [string, SalvagedAccount][],
): Promise<Outcome[]> {
  const settled = await Promise.allSettled(salvaged.map((each) => importOne(accounts, ...each)))
  const outcomes = settled.map((each) => {
    if (each.status === 'rejected') throw each.reason
    return each.value
  })
  // Without a compare-and-set, only a look afterwards tells what another process did between the read and the write.
  const current = new Set<Outcome>(await accounts.current(outcomes.filter(isImported)))
  return Promise.all(
    outcomes.map(async (outcome) => {
      if (!isImported(outcome) || current.has(outcome)) return outcome
      const { homeAccountId } = outcome
      return obstacle(homeAccountId, await accounts.load({ homeAccountId })) ?? outcome
    }),
  )
}

async function importOne(
  accounts: Accounts,
  homeAccountId: string,
  { cache: salvaged, isOnBehalfOf }: SalvagedAccount,
): Promise<Outcome> {
  const skipped = (reason: Exclude<SkippedAccount['reason'], 'stored'>) => ({ homeAccountId, reason })
  if (!isStorable(homeAccountId)) return skipped('invalid-id')
  if (isOnBehalfOf) return skipped('on-behalf-of')
  const now = Date.now()
  const [newest = ''] = [...environmentsOf(salvaged)].slice(-1)
  const cache = withoutExpired(underOneName(salvaged, newest), now)
  const expiresAt = usableUntil(cache)
  if (expiresAt <= now) return skipped('expired')
  if (Object.keys(cache.Account).length === 0) return skipped('incomplete')
  // "alice" of two OpenID providers is two people.
  const provider = providerOf(cache)
  if (provider === undefined) return skipped('several-authorities')

  const sessions = providerSessions(cache)
  const sid = sessions.find((session) => session.sid !== undefined)?.sid
  const linkKeys = accounts.links.keysOf(sessions)
  const { loaded, unlock } = await accounts.loadForWrite({ homeAccountId, sid }, linkKeys)
  try {
    const found = obstacle(homeAccountId, loaded)
    if (found?.reason === 'stored') await accounts.relink(homeAccountId, loaded, sessions)
    if (found !== undefined) return found
    const generation = importedGeneration(accounts.generationKeyOf(homeAccountId))
    const origin = { ...provider, realms: realmsOf(cache) }
    const update = { generation, cache: JSON.stringify(cache), origin, expiresAt }
    await accounts.commit(homeAccountId, loaded, update, { sessions })
    return { homeAccountId, generation }
  } finally {
    unlock()
  }
}

/** Why nothing may be stored for an account. */
function obstacle(
  homeAccountId: string,
  { partition, current, epoch, isUnreadable }: AccountSnapshot,
): SkippedAccount | undefined {
  if (current.kind === 'known' || epoch.kind === 'known') return { homeAccountId, reason: 'evicted' }
  if (current.kind === 'unreadable' || epoch.kind === 'unreadable' || isUnreadable)
    return { homeAccountId, reason: 'unreadable' }
  if (partition === undefined) return undefined
  return { homeAccountId, reason: 'stored', generation: partition.generation }
}

function isImported(outcome: Outcome): outcome is ImportedAccount {
  return !isSkipped(outcome)
}

function isSkipped(outcome: Outcome): outcome is SkippedAccount {
  return 'reason' in outcome
}

function isStorable(homeAccountId: string): boolean {
  try {
    checkHomeAccountId(homeAccountId)
    return true
  } catch {
    return false
  }
}
