/** What one of the five things that a host does comes to. */
export type Outcome =
  | 'works'
  | 'signed out'
  | 'finds nobody'
  | `${'read' | 'write'} ${'fails' | 'times out'}`
  | `not evicted: write ${'fails' | 'times out'}`
  | `evicted; delete ${'fails' | 'times out'}`
  | `503: ${'read' | 'write'} ${'fails' | 'times out'}`
  | '503: evicted; delete fails'

export const OPERATIONS = ['silent hit', 'refresh', 'sign-in', 'eviction', 'logout callback'] as const
export type Operation = (typeof OPERATIONS)[number]

/** A row of the table in docs/reliability.md. Each is a test, and nothing else is in the table. */
export interface Row {
  readonly store: string
  readonly fault: string
  readonly outcomes: Readonly<Record<Operation, Outcome>>
  /** When the slowest of them is over. */
  readonly within: 'at once' | 'busyTimeout' | "the client's timeout" | 'storeTimeout'
  /** When the store works again once the fault is gone. */
  readonly resumes: 'at the next call' | 'once reconnected' | 'when the process is restarted'
}

function row(
  store: string,
  fault: string,
  outcomes: readonly [Outcome, Outcome, Outcome, Outcome, Outcome],
  within: Row['within'],
  resumes: Row['resumes'],
): Row {
  const [hit, refresh, signIn, eviction, logout] = outcomes
  return {
    store,
    fault,
    outcomes: { 'silent hit': hit, refresh, 'sign-in': signIn, eviction, 'logout callback': logout },
    within,
    resumes,
  }
}

type Outcomes = readonly [Outcome, Outcome, Outcome, Outcome, Outcome]

const WORKS: Outcomes = ['works', 'works', 'works', 'works', 'works']
const FAILS: Outcomes = [
  'read fails',
  'read fails',
  'read fails',
  'not evicted: write fails',
  '503: read fails',
]
const TIMES_OUT: Outcomes = [
  'read times out',
  'read times out',
  'read times out',
  'not evicted: write times out',
  '503: read times out',
]
const ONLY_READS: Outcomes = [
  'works',
  'write fails',
  'write fails',
  'not evicted: write fails',
  '503: write fails',
]

const DAMAGED = "accounts' records damaged, so that Keyv cannot parse them"

function damaged(store: string): Row {
  const outcomes: Outcomes = ['signed out', 'works', 'works', 'works', 'works']
  return row(store, DAMAGED, outcomes, 'at once', 'at the next call')
}

export const REDIS_FAULTS = {
  killed: row('Redis', 'killed', FAILS, 'at once', 'once reconnected'),
  paused: row('Redis', 'paused (`SIGSTOP`)', TIMES_OUT, 'storeTimeout', 'at the next call'),
  restarted: row('Redis', 'restarted with its data', WORKS, 'at once', 'at the next call'),
  replica: row('Redis', 'made a replica (read-only)', ONLY_READS, 'at once', 'at the next call'),
  noReplicas: row(
    'Redis',
    'short of replicas (`min-replicas-to-write`)',
    ONLY_READS,
    'at once',
    'at the next call',
  ),
  full: row('Redis', 'out of memory (`noeviction`)', ONLY_READS, 'at once', 'at the next call'),
  password: row('Redis', 'password changed', FAILS, 'at once', 'once reconnected'),
  reset: row('Redis', 'every connection reset, new ones too', FAILS, 'at once', 'once reconnected'),
  midReply: row('Redis', 'connection reset in mid-reply', FAILS, 'at once', 'once reconnected'),
  midDelete: row(
    'Redis',
    'connection reset in mid-reply to a deletion',
    ['works', 'works', 'works', 'evicted; delete fails', '503: evicted; delete fails'],
    'at once',
    'once reconnected',
  ),
  slow: row('Redis', 'slow link, answers before `storeTimeout`', WORKS, 'storeTimeout', 'at the next call'),
  tooSlow: row(
    'Redis',
    'slow link, answers after `storeTimeout`',
    TIMES_OUT,
    'storeTimeout',
    'at the next call',
  ),
  halfClosed: row(
    'Redis',
    "the server's half of the connection closed",
    WORKS,
    'at once',
    'at the next call',
  ),
  absentAtStart: row('Redis', 'down when the process starts', TIMES_OUT, 'storeTimeout', 'once reconnected'),
  passwordAtStart: row(
    'Redis',
    'wrong password when the process starts',
    TIMES_OUT,
    'storeTimeout',
    'once reconnected',
  ),
  pausedAtStart: row(
    'Redis',
    'paused when the process starts',
    TIMES_OUT,
    'storeTimeout',
    'once reconnected',
  ),
  swallowed: row('Redis', 'connection dead without a word', TIMES_OUT, 'storeTimeout', 'once reconnected'),
  damaged: damaged('Redis'),
} satisfies Record<string, Row>

export const SQLITE_FAULTS = {
  locked: row('SQLite', 'write-locked by another process', ONLY_READS, 'busyTimeout', 'at the next call'),
  lockedLong: row(
    'SQLite',
    'the same, `busyTimeout` longer than `storeTimeout`',
    ['works', 'write times out', 'read times out', 'not evicted: write times out', '503: read times out'],
    'storeTimeout',
    'at the next call',
  ),
  lockedJournal: row(
    'SQLite without WAL',
    'locked by another process',
    FAILS,
    'busyTimeout',
    'at the next call',
  ),
  full: row('SQLite', 'disk full', ONLY_READS, 'at once', 'at the next call'),
  removed: row('SQLite', 'file removed while it is open', WORKS, 'at once', 'at the next call'),
  readOnly: row('SQLite', 'file made read-only while it is open', WORKS, 'at once', 'at the next call'),
  readOnlyAtStart: row(
    'SQLite',
    'file read-only when the process starts',
    ONLY_READS,
    'at once',
    'when the process is restarted',
  ),
  damaged: damaged('SQLite'),
} satisfies Record<string, Row>

export const CLUSTER_FAULTS = {
  masterLost: row(
    'Redis Cluster',
    'a master lost, until it is back (its accounts)',
    FAILS,
    'at once',
    'once reconnected',
  ),
  failover: row(
    'Redis Cluster',
    'a master lost, until a replica has taken over (its accounts)',
    FAILS,
    'at once',
    'once reconnected',
  ),
  moved: row('Redis Cluster', 'slots moved to another node', WORKS, 'at once', 'at the next call'),
  damaged: damaged('Redis Cluster'),
} satisfies Record<string, Row>

export const POSTGRES_FAULTS = {
  stopped: row('PostgreSQL', 'stopped', FAILS, 'at once', 'at the next call'),
  restarted: row('PostgreSQL', 'restarted', WORKS, 'at once', 'at the next call'),
  silent: row('PostgreSQL', 'answers after `storeTimeout`', TIMES_OUT, 'storeTimeout', 'at the next call'),
  reset: row('PostgreSQL', 'every connection reset, new ones too', FAILS, 'at once', 'at the next call'),
  damaged: damaged('PostgreSQL'),
} satisfies Record<string, Row>

export const VALKEY_FAULTS = {
  killed: row('@keyv/valkey', 'killed', FAILS, 'at once', 'once reconnected'),
  paused: row('@keyv/valkey', 'paused', TIMES_OUT, 'storeTimeout', 'at the next call'),
  restarted: row('@keyv/valkey', 'restarted with its data', WORKS, 'at once', 'at the next call'),
  damaged: damaged('@keyv/valkey'),
} satisfies Record<string, Row>

export const MYSQL_FAULTS = {
  killed: row('MySQL, MariaDB', 'killed', FAILS, 'at once', 'at the next call'),
  paused: row('MySQL, MariaDB', 'paused', TIMES_OUT, 'storeTimeout', 'at the next call'),
  restarted: row('MySQL, MariaDB', 'restarted', WORKS, 'at once', 'at the next call'),
  damaged: damaged('MySQL, MariaDB'),
} satisfies Record<string, Row>

export const ETCD_FAULTS = {
  killed: row('etcd', 'killed', FAILS, 'at once', 'once reconnected'),
  paused: row('etcd', 'paused', TIMES_OUT, 'storeTimeout', 'at the next call'),
  restarted: row('etcd', 'restarted', WORKS, 'at once', 'at the next call'),
  damaged: damaged('etcd'),
} satisfies Record<string, Row>

export const MEMCACHED_FAULTS = {
  reset: row('memcached', 'every connection reset, new ones too', FAILS, 'at once', 'once reconnected'),
  paused: row('memcached', 'paused', FAILS, "the client's timeout", 'once reconnected'),
  restarted: row(
    'memcached',
    'killed and started again, which loses its data',
    ['signed out', 'works', 'works', 'works', 'finds nobody'],
    'at once',
    'at the next call',
  ),
  damaged: damaged('memcached'),
} satisfies Record<string, Row>

export const SENTINEL_FAULTS = {
  failover: row(
    'Redis Sentinel',
    'the master lost, until a replica is promoted',
    TIMES_OUT,
    'storeTimeout',
    'once reconnected',
  ),
} satisfies Record<string, Row>
