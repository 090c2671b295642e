import { describe, expect, test } from 'vitest'
import { check, type Verdict } from './checker.ts'
import type { Commit, Entry, Fault, Outcome, RecordAtRest } from './history.ts'
import type { Operation } from './operations.ts'
import { homeAccountIdOf } from './provider.ts'

const ACCOUNT = 7
const ms = (milliseconds: number) => milliseconds * 1e6

type Details = { chain?: string; session?: string; last?: true; commits?: Commit[] }

/** An operation that lasts from the one millisecond to the other. */
function entry(
  operation: Operation,
  begin: number,
  end: number,
  outcome: Outcome,
  details: Details = {},
): Entry {
  return { operation, process: 0, begin: ms(begin), end: ms(end), outcome, commits: [], ...details }
}

function signIn(
  chain: string,
  begin: number,
  end: number,
  details: { generation?: string; readAt?: number } = {},
) {
  const { generation = 'g', readAt = begin } = details
  const commits = [{ readAt: ms(readAt), begin: ms(begin), end: ms(end) }]
  const outcome: Outcome = { is: 'signed-in', owners: [ACCOUNT], generation }
  return entry({ kind: 'sign-in', account: ACCOUNT, browser: 0 }, begin, end, outcome, { chain, commits })
}

function failedSignIn(chain: string, begin: number, end: number) {
  const commits = [{ readAt: ms(begin), begin: ms(begin) }]
  const outcome: Outcome = { is: 'store-failure', operation: 'write' }
  return entry({ kind: 'sign-in', account: ACCOUNT, browser: 0 }, begin, end, outcome, { chain, commits })
}

function evict(begin: number, end: number, outcome: Outcome = { is: 'evicted' }) {
  return entry({ kind: 'evict', account: ACCOUNT }, begin, end, outcome)
}

function silent(begin: number, end: number, outcome: Outcome, details: Details = {}) {
  return entry({ kind: 'silent', account: ACCOUNT, by: 'id' }, begin, end, outcome, details)
}

function refresh(begin: number, end: number, commits: Commit[]) {
  const outcome: Outcome = { is: 'token', owners: [ACCOUNT], chains: ['old'], fromCache: false }
  return entry({ kind: 'refresh', account: ACCOUNT, by: 'id' }, begin, end, outcome, { commits })
}

function logout(begin: number, end: number, browser: number, outcome: Outcome) {
  return entry({ kind: 'logout', account: ACCOUNT, browser }, begin, end, outcome)
}

function token(chain: string, owner = ACCOUNT): Outcome {
  return { is: 'token', owners: [owner], chains: [chain], fromCache: true }
}

const SIGNED_OUT: Outcome = { is: 'signed-out' }
const NOBODY: Outcome = { is: 'nobody', result: 'unknown-session' }
const FAILED: Outcome = { is: 'store-failure', operation: 'read' }
const EVICTION_FAILED: Outcome = { is: 'eviction-failed', fenced: false }
const FENCED: Outcome = { is: 'eviction-failed', fenced: true }

function verdict(entries: Entry[], more: { faults?: Fault[]; records?: RecordAtRest[] } = {}): Verdict {
  const { faults = [], records = [] } = more
  return check({ entries, faults, records }, { settle: 100, lockPatience: 400 })
}

function rules(entries: Entry[], more: { faults?: Fault[]; records?: RecordAtRest[] } = {}): string[] {
  return verdict(entries, more).violations.map(({ rule }) => rule)
}

describe('P1', () => {
  test('a token of another account', () => {
    expect(rules([signIn('a', 0, 10), silent(20, 21, token('a'))])).toEqual([])
    expect(rules([signIn('a', 0, 10), silent(20, 21, token('a', 8))])).toEqual(['P1'])
  })

  test('an entity of another account at rest, by its owner or by its secret', () => {
    const record = (owner: number, secret: string) => {
      const entity = { home_account_id: homeAccountIdOf(owner), secret }
      return { account: ACCOUNT, text: `{"v":1}\n${JSON.stringify({ RefreshToken: { key: entity } })}` }
    }
    expect(rules([], { records: [record(ACCOUNT, `refresh.${ACCOUNT}.a.sid.1`)] })).toEqual([])
    expect(rules([], { records: [record(8, `refresh.${ACCOUNT}.a.sid.1`)] })).toEqual(['P1'])
    expect(rules([], { records: [record(ACCOUNT, 'refresh.8.a.sid.1')] })).toEqual(['P1'])
    expect(rules([], { records: [record(ACCOUNT, 'something else')] })).toEqual(['P1'])
  })
})

describe('P3', () => {
  test('a token of an evicted sign-in, by a call that begins after the eviction', () => {
    expect(rules([signIn('a', 0, 10), evict(20, 30), silent(31, 32, token('a'))])).toEqual(['P3'])
  })

  test('a fenced eviction counts, and so does a logout callback', () => {
    expect(rules([signIn('a', 0, 10), evict(20, 30, FENCED), silent(31, 32, token('a'))])).toEqual(['P3'])
    const byLogout = logout(20, 30, 0, { is: 'evicted' })
    expect(rules([signIn('a', 0, 10), byLogout, silent(31, 32, token('a'))])).toEqual(['P3'])
  })

  test('the token of a sign-in that failed to be stored is evicted like any other', () => {
    expect(rules([failedSignIn('a', 0, 10), evict(20, 30), silent(31, 32, token('a'))])).toEqual(['P3'])
  })

  test('a call under way, a sign-in under way and an eviction that failed prove nothing', () => {
    expect(rules([signIn('a', 0, 10), evict(20, 30), silent(29, 32, token('a'))])).toEqual([])
    expect(rules([signIn('a', 0, 21), evict(20, 30), silent(31, 32, token('a'))])).toEqual([])
    expect(rules([signIn('a', 0, 10), evict(20, 30, EVICTION_FAILED), silent(31, 32, token('a'))])).toEqual(
      [],
    )
  })

  test('the old sign-in after the user has signed in again', () => {
    const entries = [signIn('a', 0, 10), evict(20, 30), signIn('b', 40, 50, { generation: 'h' })]
    expect(rules([...entries, silent(60, 61, token('b'))])).toEqual([])
    expect(rules([...entries, silent(60, 61, token('a'))])).toEqual(['P3'])
  })

  test('a session of one generation sees another, even while the eviction is under way', () => {
    const entries = [signIn('a', 0, 10), signIn('b', 25, 28, { generation: 'h' }), evict(20, 30)]
    expect(rules([...entries, silent(29, 40, token('b'), { session: 'a' })])).toEqual(['P3'])
    expect(rules([...entries, silent(29, 40, token('b'), { session: 'b' })])).toEqual([])
  })
})

describe('P5', () => {
  test('a sign-in that is not found', () => {
    expect(rules([signIn('a', 0, 10), silent(20, 21, SIGNED_OUT)])).toEqual(['P5'])
    expect(rules([evict(0, 5), signIn('a', 6, 10), silent(20, 21, SIGNED_OUT)])).toEqual(['P5'])
  })

  test('not found yet, evicted since, or the store failed: nothing wrong', () => {
    expect(rules([signIn('a', 0, 10), silent(9, 21, SIGNED_OUT)])).toEqual([])
    expect(rules([signIn('a', 0, 10), evict(15, 16), silent(20, 21, SIGNED_OUT)])).toEqual([])
    expect(rules([signIn('a', 0, 10), evict(20, 30), silent(20, 21, SIGNED_OUT)])).toEqual([])
    expect(rules([signIn('a', 0, 10), silent(20, 21, FAILED)])).toEqual([])
  })

  test('an eviction that failed may come late, but not for ever', () => {
    const failed = evict(0, 5, EVICTION_FAILED)
    expect(rules([failed, signIn('a', 50, 60), silent(70, 71, SIGNED_OUT)])).toEqual([])
    expect(rules([failed, signIn('a', 150, 160), silent(170, 171, SIGNED_OUT)])).toEqual(['P5'])
    const fault = { name: 'paused', begin: ms(3), end: ms(100) }
    const entries = [failed, signIn('a', 150, 160), silent(170, 171, SIGNED_OUT)]
    expect(rules(entries, { faults: [fault] })).toEqual([])
  })

  test('overwritten by a write that rests on a read from before the eviction: a loss, and explained', () => {
    const before = [evict(20, 30), signIn('a', 40, 50), silent(60, 61, SIGNED_OUT)]
    const late = refresh(10, 45, [{ readAt: ms(25), begin: ms(26), end: ms(45) }])
    expect(verdict([...before, late])).toMatchObject({ violations: [], losses: [{ rule: 'P5' }] })
    const early = refresh(10, 39, [{ readAt: ms(25), begin: ms(26), end: ms(39) }])
    expect(rules([...before, early])).toEqual(['P5'])
    const fresh = refresh(10, 45, [{ readAt: ms(31), begin: ms(32), end: ms(45) }])
    expect(rules([...before, fresh])).toEqual(['P5'])
  })

  test('a later sign-in that nobody overwrote has to be found', () => {
    const late = refresh(10, 45, [{ readAt: ms(25), begin: ms(26), end: ms(45) }])
    const entries = [
      evict(20, 30),
      signIn('a', 40, 50),
      late,
      signIn('b', 60, 70),
      silent(80, 81, SIGNED_OUT),
    ]
    expect(rules(entries)).toEqual(['P5'])
  })

  test('first sign-ins at once are of two generations: one host session is lost, but not the account', () => {
    const both = [signIn('a', 0, 10, { generation: 'g' }), signIn('b', 5, 15, { generation: 'h' })]
    expect(verdict([...both, silent(20, 21, SIGNED_OUT, { session: 'a' })])).toMatchObject({
      violations: [],
      losses: [{ rule: 'P5' }],
    })
    expect(rules([...both, silent(20, 21, SIGNED_OUT)])).toEqual(['P5'])
    const evicted = [evict(-20, -10), ...both]
    expect(rules([...evicted, silent(20, 21, SIGNED_OUT, { session: 'a' })])).toEqual(['P5'])
  })
})

test('a logout callback that does not find its session', () => {
  expect(rules([signIn('a', 0, 10), logout(20, 21, 0, NOBODY)])).toEqual(['logout'])
  expect(rules([signIn('a', 0, 10), logout(20, 21, 1, NOBODY)])).toEqual([])
  expect(rules([signIn('a', 0, 10), evict(12, 13), logout(20, 21, 0, NOBODY)])).toEqual([])
})

test('refreshes that lose each other, unless they were slower than the lock is patient', () => {
  const outcome: Outcome = { is: 'refreshed', lost: ['Mail.Read'] }
  const parallel = (begin: number, end: number) =>
    entry({ kind: 'parallel-refresh', account: ACCOUNT }, begin, end, outcome)
  expect(rules([parallel(0, 50)])).toEqual(['lock'])
  expect(rules([parallel(0, 500)])).toEqual([])
  const failed = entry({ kind: 'parallel-refresh', account: ACCOUNT }, -40, -30, FAILED)
  expect(rules([failed, parallel(0, 50)])).toEqual([])
})

test('an unforeseen error, and a failure when all is quiet', () => {
  expect(rules([silent(0, 1, { is: 'error', error: 'TypeError' })])).toEqual(['error'])
  expect(rules([silent(0, 1, FAILED, { last: true })])).toEqual(['end'])
})
