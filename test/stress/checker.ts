// Reads what every process of a stress run logged, and knows the promises, but nothing of how they are kept.
//
// What is checked:
//   P1          every token of a result, and every entity of a record in the end, is its account's
//   P3          a call that begins after an eviction has resolved yields nothing of a sign-in that had ended before
//               the eviction began; nor does a call by a host session yield a sign-in of another generation
//   P5          a call that begins after a sign-in has ended finds it, where no eviction of the account was under way,
//               or may still have taken effect, from the beginning of the sign-in to the end of the call
//   logout      as P5, for a logout callback of the session that the sign-in was in
//   lock        refreshes of one account for several scopes at once, in one process, keep each other's tokens
//   end         when all is quiet, no call fails
//   error       no call ever fails in another way than with a typed error of the store
// The price of having no compare-and-set (docs/promises.md) is counted apart, and must be explained: by a write that was
// under way together with the sign-in's own and rests on a read from before the last eviction (or, for an account that
// was never evicted, on one from before the sign-in's write: its host session then belongs to another generation).
import type { Commit, Entry, Fault, History } from './history.ts'
import { accountOf, homeAccountIdOf, originOf } from './provider.ts'

export type Rule = 'P1' | 'P3' | 'P5' | 'logout' | 'lock' | 'end' | 'error'

export interface Finding {
  readonly rule: Rule
  readonly account: number
  readonly what: string
  /** The operations that show it. */
  readonly entries: readonly Entry[]
}

export interface Verdict {
  readonly violations: readonly Finding[]
  /** Sign-ins that were lost as the design allows, each once, with the first call that missed it. */
  readonly losses: readonly Finding[]
  /** How many operations each rule had something to say about. */
  readonly checks: Readonly<Record<Rule, number>>
}

/** Durations are milliseconds. */
export interface CheckerOptions {
  /** How long after its call failed, and after a fault, a write may still reach the store. */
  readonly settle: number
  /** How long a writer waits for those before it until it goes on without the lock. */
  readonly lockPatience: number
}

const MILLISECOND = 1e6

export function check(history: History, options: CheckerOptions): Verdict {
  const violations: Finding[] = []
  const losses: Finding[] = []
  const checks: Record<Rule, number> = { P1: 0, P3: 0, P5: 0, logout: 0, lock: 0, end: 0, error: 0 }
  for (const [account, entries] of Map.groupBy(history.entries, ({ operation }) => operation.account)) {
    const checker = new AccountChecker(account, entries, history.faults, options, checks)
    const findings = checker.findings()
    violations.push(...findings.violations)
    losses.push(...findings.losses)
  }
  violations.push(...history.records.flatMap(({ account, text }) => foreignEntities(account, text)))
  checks.P1 += history.records.length
  return { violations, losses, checks }
}

class AccountChecker {
  readonly #account: number
  readonly #entries: readonly Entry[]
  readonly #faults: readonly Fault[]
  readonly #options: CheckerOptions
  readonly #signIns: readonly Entry[]
  /** All that may have taken effect. */
  readonly #evictions: readonly Entry[]
  readonly #writers: readonly Entry[]
  /** For each chain that is certainly evicted: the eviction that resolved first. */
  readonly #endOf = new Map<string, Entry>()
  readonly #generations = new Map<string, string>()
  readonly #firstEnd: number
  readonly #checks: Record<Rule, number>

  constructor(
    account: number,
    entries: readonly Entry[],
    faults: readonly Fault[],
    options: CheckerOptions,
    checks: Record<Rule, number>,
  ) {
    this.#checks = checks
    this.#account = account
    this.#entries = entries.toSorted((a, b) => a.begin - b.begin)
    this.#faults = faults
    this.#options = options
    this.#signIns = this.#entries.filter(({ operation }) => operation.kind === 'sign-in')
    this.#evictions = this.#entries.filter(mayHaveEvicted)
    this.#writers = this.#entries.filter(({ commits }) => commits.length > 0)
    const certain = this.#evictions.filter(hasEvicted).sort((a, b) => a.end - b.end)
    for (const { chain = '', end, outcome } of this.#signIns) {
      const eviction = certain.find(({ begin }) => begin > end)
      if (eviction !== undefined) this.#endOf.set(chain, eviction)
      if (outcome.is === 'signed-in') this.#generations.set(chain, outcome.generation)
    }
    this.#firstEnd = Math.min(...[...this.#endOf.values()].map(({ end }) => end))
  }

  findings(): Pick<Verdict, 'violations' | 'losses'> {
    const violations: Finding[] = []
    const losses = new Map<string, Finding>()
    for (const entry of this.#entries) {
      violations.push(...this.#wrong(entry))
      const loss = this.#lost(entry)
      if (loss === undefined) continue
      const { finding, explained, chain } = loss
      if (!explained) violations.push(finding)
      else if (!losses.has(chain)) losses.set(chain, finding)
    }
    return { violations, losses: [...losses.values()] }
  }

  #wrong(entry: Entry): Finding[] {
    const { outcome, last } = entry
    const found: Finding[] = []
    const report = (rule: Rule, what: string, ...others: Entry[]) =>
      found.push({ rule, account: this.#account, what, entries: [...others, entry] })

    this.#checks.error++
    if (outcome.is === 'error') report('error', outcome.error)
    if (last) {
      this.#checks.end++
      if (outcome.is === 'store-failure') report('end', 'the store fails when all is quiet')
    }
    if (outcome.is === 'token' || outcome.is === 'signed-in') {
      this.#checks.P1++
      for (const owner of outcome.owners) {
        if (owner !== this.#account) report('P1', `a token of account ${owner}`)
      }
    }
    if (outcome.is === 'token') {
      const expected = this.#generations.get(entry.session ?? '')
      if (entry.begin > this.#firstEnd || expected !== undefined) this.#checks.P3++
      for (const chain of outcome.chains) {
        const eviction = this.#endOf.get(chain)
        if (eviction !== undefined && entry.begin > eviction.end) {
          report('P3', `a token of sign-in ${chain}, which was evicted before`, eviction)
        }
        const generation = this.#generations.get(chain)
        if (expected !== undefined && generation !== undefined && generation !== expected) {
          report('P3', `a session of sign-in ${entry.session} sees ${chain}, of another generation`)
        }
      }
    }
    if (outcome.is === 'refreshed' && !this.#mayLoseRefreshes(entry)) {
      this.#checks.lock++
      if (outcome.lost.length > 0) report('lock', `refreshed at once, and lost: ${outcome.lost.join(', ')}`)
    }
    return found
  }

  /** The locks are given up after a while, and a write that timed out earlier may come late. */
  #mayLoseRefreshes(entry: Entry): boolean {
    if (entry.end - entry.begin > this.#options.lockPatience * MILLISECOND) return true
    return this.#entries.some(
      (other) => other.outcome.is === 'store-failure' && this.#lastEffect(other) > entry.begin,
    )
  }

  /** A call that did not find a sign-in that it had to find. */
  #lost(entry: Entry): { finding: Finding; explained: boolean; chain: string } | undefined {
    const { operation, outcome, end } = entry
    const isLogout = operation.kind === 'logout'
    const found = outcome.is === 'token' || (isLogout && outcome.is === 'evicted')
    if (!found && outcome.is !== 'signed-out' && outcome.is !== 'nobody') return undefined
    const evictedUntil = this.#evictedUntil(end, entry)
    const candidates = this.#signIns.filter((signIn) => isToBeFound(signIn, entry, evictedUntil))
    const rule = isLogout ? 'logout' : 'P5'
    if (candidates.length > 0) this.#checks[rule]++
    if (found) return undefined
    const needsItsGeneration = entry.session !== undefined || isLogout
    const explanations = candidates.map((signIn) => ({
      signIn,
      by: this.#overwriter(signIn, entry, evictedUntil, needsItsGeneration),
    }))
    const shown = explanations.find(({ by }) => by === undefined) ?? explanations.at(-1)
    if (shown === undefined) return undefined
    const { signIn, by } = shown
    const what =
      by === undefined ? `does not find sign-in ${signIn.chain}` : `${signIn.chain} was overwritten`
    const entries = by === undefined ? [signIn, entry] : [signIn, by, entry]
    const finding = { rule, account: this.#account, what, entries } as const
    return { finding, explained: by !== undefined, chain: signIn.chain ?? '' }
  }

  /** When the last effect was that an eviction begun before `time` may have had. */
  #evictedUntil(time: number, except: Entry): number {
    let until = Number.NEGATIVE_INFINITY
    for (const eviction of this.#evictions) {
      if (eviction.begin >= time) break
      if (eviction !== except) until = Math.max(until, this.#lastEffect(eviction))
    }
    return until
  }

  /** A write that may have taken the place of a sign-in's own. */
  #overwriter(
    signIn: Entry,
    seenBy: Entry,
    evictedUntil: number,
    needsItsGeneration: boolean,
  ): Entry | undefined {
    const from = signIn.commits[0]?.begin ?? signIn.begin
    const to = signIn.commits.at(-1)?.end ?? signIn.end
    const neverEvicted = !this.#evictions.some(
      (eviction) => hasEvicted(eviction) && eviction.end < signIn.begin,
    )
    const isStale = ({ readAt }: Commit) =>
      readAt < evictedUntil || (needsItsGeneration && neverEvicted && readAt < to)
    return this.#writers.find(
      (writer) =>
        writer !== signIn &&
        writer.commits.some(
          (commit) =>
            isStale(commit) && commit.begin < seenBy.end && (commit.end ?? this.#lastEffect(writer)) > from,
        ),
    )
  }

  /** When the last of an operation has reached the store: what failed may come late. */
  #lastEffect({ begin, end, outcome }: Entry): number {
    if (outcome.is !== 'store-failure' && outcome.is !== 'eviction-failed' && outcome.is !== 'error')
      return end
    const settle = this.#options.settle * MILLISECOND
    const ends = this.#faults
      .filter((fault) => fault.begin < end + settle && fault.end > begin)
      .map((fault) => fault.end)
    return Math.max(end, ...ends) + settle
  }
}

/** Whether a call has to find a sign-in, as far as its times and its session say. */
function isToBeFound(signIn: Entry, by: Entry, evictedUntil: number): boolean {
  const inTime = signIn.end < by.begin && signIn.begin > evictedUntil
  if (signIn.outcome.is !== 'signed-in' || !inTime) return false
  if (by.operation.kind !== 'logout') return by.session === undefined || by.session === signIn.chain
  return signIn.operation.kind === 'sign-in' && signIn.operation.browser === by.operation.browser
}

function mayHaveEvicted({ operation, outcome }: Entry): boolean {
  const evicts = operation.kind === 'evict' || operation.kind === 'logout'
  return evicts && outcome.is !== 'nobody'
}

function hasEvicted({ outcome }: Entry): boolean {
  return outcome.is === 'evicted' || (outcome.is === 'eviction-failed' && outcome.fenced)
}

/** What in a record, a header line and MSAL's JSON, is not its account's. */
function foreignEntities(account: number, text: string): Finding[] {
  const sections = JSON.parse(text.slice(text.indexOf('\n') + 1)) as Record<string, Record<string, Entity>>
  const found: Finding[] = []
  for (const [section, entities] of Object.entries(sections)) {
    if (section === 'AppMetadata') continue
    for (const { home_account_id: owner, secret } of Object.values(entities)) {
      const issuedTo = secret === undefined ? account : originOf(secret).account
      if (owner !== homeAccountIdOf(account) || issuedTo !== account) {
        const what = `its record holds an entity of ${accountOf(owner)}, issued to ${issuedTo}`
        found.push({ rule: 'P1', account, what, entries: [] })
      }
    }
  }
  return found
}

interface Entity {
  readonly home_account_id?: string
  readonly secret?: string
}
