import { plural } from '../plural.ts'
import type { Host, TokenRecord } from './host.ts'
import type { Stage } from './stage.ts'
import { Visitor } from './visitor.ts'

/** Something that happens to web apps, played in the same way on a host with either plugin. */
export interface Scenario {
  readonly id: string
  readonly title: string
  readonly description: string
  /** What is fair to say beside it. */
  readonly note: string
  play(host: Host, stage: Stage): Promise<Report>
}

/** How it went on one of the two hosts. */
export interface Report {
  readonly isRight: boolean
  readonly summary: string
  readonly steps: readonly Step[]
  /** What the store holds afterwards. */
  readonly records: readonly ReportedRecord[]
}

export interface Step {
  readonly what: string
  readonly seen: string
}

export interface ReportedRecord extends TokenRecord {
  /** What is wrong with it. */
  readonly flaw?: string
}

const twenty =
  'alice bob carol dave erin frank grace heidi ivan judy kim liam mia noor olga peter quinn rosa sam tara'.split(
    ' ',
  )

const twentySignIns: Scenario = {
  id: 'twenty',
  title: 'Twenty sign-ins at once',
  description:
    'Twenty people sign in at the same moment, on one client. Then each of them comes back for a token.',
  note: 'Microsoft’s samples make a client for each request, and msal-keyv recommends it. Here everybody shares one.',
  async play(host, stage) {
    const codes = await Promise.all(twenty.map((name) => stage.authorize(host.shared, new Visitor(name))))
    const results = await Promise.all(codes.map((code) => host.shared.acquireTokenByCode(code)))
    const users = await Promise.all(results.map((result) => host.openSession(result)))
    const records = await host.records()
    const served = await Promise.all(users.map((user) => stage.serve(host, user)))

    const signedOut = served.filter((answer) => answer === 'asked to sign in again').length
    const mixed = records.filter(({ accounts }) => accounts.length > 1)
    const isRight = mixed.length === 0 && signedOut === 0
    return {
      isRight,
      summary: isRight
        ? 'Everybody has a record of their own, and everybody is signed in.'
        : `${signedOut} of ${twenty.length} people are signed out, and their refresh tokens are in somebody else’s record.`,
      steps: [
        { what: 'Twenty people sign in.', seen: contents(records) },
        {
          what: 'Each comes back, on a client of their own.',
          seen:
            signedOut === 0
              ? 'all get a token'
              : `${signedOut} of ${twenty.length} are asked to sign in again`,
        },
      ],
      records: records
        .toSorted((a, b) => `${a.accounts}`.localeCompare(`${b.accounts}`))
        .map((record) =>
          mixed.includes(record)
            ? { ...record, flaw: `${record.accounts.length} people in one record` }
            : record,
        ),
    }
  },
}

const evictionDuringRefresh: Scenario = {
  id: 'eviction',
  title: 'Evict during a refresh',
  description:
    'Alice’s token is being refreshed. While the provider’s answer is on its way, she is evicted. Then the answer arrives.',
  note: 'A client for each request on both sides. DistributedCachePlugin has no way to delete, so its host deletes the record.',
  async play(host, stage) {
    const alice = await stage.signIn(host, new Visitor('alice'))
    const signedIn = await host.records()
    const held = stage.holdRefreshes(host)
    const refreshing = stage.serve(host, alice, true)
    let evicted: TokenRecord[]
    try {
      await Promise.race([held.given, refreshing])
      await host.evict(alice)
      evicted = await host.records()
    } finally {
      held.release()
      await refreshing.catch(() => {})
    }
    const records = await host.records()
    const served = await stage.serve(host, alice)
    return {
      ...ending(records, served, 'came back after the eviction'),
      steps: [
        { what: 'Alice signs in.', seen: contents(signedIn) },
        { what: 'Her refresh is at the provider. She is evicted.', seen: contents(evicted) },
        { what: 'The provider’s answer arrives.', seen: contents(records) },
        { what: 'Alice comes back.', seen: served },
      ],
    }
  },
}

const signOutElsewhere: Scenario = {
  id: 'elsewhere',
  title: 'Sign out of the other app',
  description:
    'Alice is signed in here and to another app of the same provider. She signs out there, and the provider calls every app back.',
  note: 'A host can do this itself: verify the logout token, find the account that it means, and delete its record. The scenario above shows how long that holds.',
  async play(host, stage) {
    const visitor = new Visitor('alice')
    const alice = await stage.signIn(host, visitor)
    await stage.signInElsewhere(visitor)
    const signedIn = await host.records()
    await stage.signOutElsewhere(visitor)
    const records = await host.records()
    const served = await stage.serve(host, alice, true)
    return {
      ...ending(records, served, 'left after the sign-out'),
      steps: [
        { what: 'Alice signs in, here and to the other app.', seen: contents(signedIn) },
        { what: 'She signs out there. The provider calls back.', seen: stage.callbackAnswer },
        { what: 'In the store afterwards.', seen: contents(records) },
        { what: 'Alice’s session here needs a new token.', seen: served },
      ],
    }
  },
}

export const scenarios: readonly Scenario[] = [twentySignIns, evictionDuringRefresh, signOutElsewhere]

/** After what should have ended Alice's sign-in. */
function ending(
  records: readonly TokenRecord[],
  served: string,
  flaw: string,
): Pick<Report, 'isRight' | 'summary' | 'records'> {
  const isGone = records.length === 0
  const isSignedOut = served === 'asked to sign in again'
  const kept = records.some(({ refreshTokens }) => refreshTokens > 0) ? 'refresh token' : 'account'
  const tokens = isGone ? 'Her tokens are gone' : `Her ${kept} is in the store`
  const session = isSignedOut ? 'she has to sign in again' : `she still gets ${served}`
  return {
    isRight: isGone && isSignedOut,
    summary: `${tokens}, and ${session}.`,
    records: records.map((record) => ({ ...record, flaw })),
  }
}

function contents(records: readonly TokenRecord[]): string {
  const people = new Set(records.flatMap(({ accounts }) => accounts)).size
  const refreshTokens = records.reduce((sum, record) => sum + record.refreshTokens, 0)
  if (records.length === 0) return 'nothing is stored'
  return [
    plural(records.length, 'record'),
    plural(people, 'account'),
    plural(refreshTokens, 'refresh token'),
  ].join(', ')
}
