import type { Choose, Step } from '../support/explorer.ts'

// The protocols of src/accounts and src/clients without MSAL and Keyv: pure operations on a store, of
// which each call waits for its turn. The search judges the protocol before the library does; `Variant` says how it was once
// built or drawn, and which order broke it.

/** How a protocol is varied. The default is the one that is built. */
export interface Variant {
  /** B1: a row counts by its generation alone. */
  readonly linksByGeneration?: boolean
  /** The partition alone decides which links count. */
  readonly linksByPartition?: boolean
  /** B2: a sign-in writes the epoch back that it has read. */
  readonly signInWritesEpoch?: boolean
  /** An end looks for other sessions before it writes its epoch. */
  readonly endLooksFirst?: boolean
  /** B3: a commit writes only the link rows of its own session. */
  readonly ownLinksOnly?: boolean
  /** B11: what could not be confirmed is written again under the same id. */
  readonly sameIdTwice?: boolean
  /** B12: rows of other sessions are carried on without a look at their epochs. */
  readonly rowsUnverified?: boolean
  /** B12: without an epoch record, every session lives. */
  readonly noRecordIsLife?: boolean
  /** DESIGN, second step as drawn: without an epoch record the partition's row decides, `since` only where there is none. */
  readonly rowBeforeSince?: boolean
  /** A sign-in that finds neither epoch nor row takes no random epoch. */
  readonly constantFirstEpoch?: boolean
  /** `openSession` takes the epoch from the record and not from the partition's row. */
  readonly epochFromLaterRead?: boolean
  /** B4: a refusal rewrites the partition. */
  readonly refusalRewrites?: boolean
  /** B4: after a refusal nobody reads again. */
  readonly noSecondLook?: boolean
  /** N2's rows count only by their generation or a partition. */
  readonly listNamesNoLinks?: boolean
}

type Values = (unknown | undefined)[]
type Call =
  | { readonly reads: readonly string[] }
  | { readonly writes: readonly (readonly [key: string, value: Stored | undefined])[] }
  /** A step that touches no store. */
  | { readonly does: string; readonly effect: () => unknown }
// biome-ignore lint/suspicious/noConfusingVoidType: what a generator gets back for a call that reads nothing
type Play<Result> = Generator<Call, Result, Values | void>

interface Stored {
  readonly expires: number
  readonly value: unknown
}

interface Row {
  readonly key: string
  readonly sid: string | undefined
  readonly epoch: string | undefined
}
interface Partition {
  readonly generation: string
  readonly token: string
  readonly rows: readonly Row[]
}
interface LinkRow {
  readonly account: string
  readonly generation: string
}

export interface Session {
  readonly account: string
  readonly sid: string
  readonly generation: string
  readonly epoch: string | undefined
  readonly since: number
  /** The tokens that it began with, and those that come of them. */
  readonly chain: string
}

const BEGINS: Call = { does: 'begins', effect: () => {} }

/** A store call that was not confirmed. */
class Outage extends Error {}

/** Days. Nothing with tokens lives longer than this; what ends things lives an hour more. */
const TTL = 90
const END_LIFETIME = TTL + 1 / 24

export interface Actor {
  readonly name: string
  readonly play: (world: World) => Play<unknown>
  /** Its writes may be lost, or come late. */
  readonly faulty?: boolean
}

/** What the operations of a run have come to. */
interface Ended {
  readonly account: string
  /** Without one, the whole account. */
  readonly sid?: string
  /** The sessions whose sign-ins had been stored when it began. */
  readonly before: Session[]
}

export class World {
  readonly variant: Variant
  readonly #store = new Map<string, Stored>()
  readonly #isProven: boolean
  #now = 0
  #ids = 0
  /** Of a provider whose refresh tokens work once: the good one of each chain. */
  readonly good = new Map<string, string>()
  /** Each good token, once its store call was confirmed. */
  readonly storedGood = new Set<string>()
  readonly sessions: Session[] = []
  readonly ended: Ended[] = []
  /** Accounts whose link rows another account may have displaced. */
  readonly displaced = new Set<string>()
  readonly complaints: string[] = []

  constructor(variant: Variant, isProven: boolean) {
    this.variant = variant
    this.#isProven = isProven
  }

  get now(): number {
    return this.#now
  }

  newId(kind: string): string {
    return `${kind}${++this.#ids}`
  }

  passes(days: number): void {
    this.#now += days
  }

  get(key: string): unknown {
    const stored = this.#store.get(key)
    return stored !== undefined && stored.expires > this.#now ? stored.value : undefined
  }

  set(key: string, value: Stored | undefined): void {
    if (value === undefined) this.#store.delete(key)
    else this.#store.set(key, value)
  }

  /** Runs an operation with nobody else there. */
  alone<Result>(play: Play<Result>): Result {
    let next = play.next()
    while (!next.done) next = play.next(this.#carryOut(next.value))
    return next.value
  }

  #carryOut(call: Call): Values | undefined {
    if ('reads' in call) return call.reads.map((key) => this.get(key))
    if ('does' in call) return void call.effect()
    for (const [key, value] of call.writes) this.set(key, value)
    return undefined
  }

  /**
   * Runs them all at once, each call when `choose` says. At most one write of a faulty actor is lost, or comes late.
   * @returns false where no step was chosen
   */
  together(actors: readonly Actor[], choose: Choose, check: () => void, trace: string[]): boolean {
    const running = new Map<string, { play: Play<unknown>; calls: Call[]; read: Values; faulty: boolean }>()
    const late = new Map<string, () => void>()
    let faults = 0
    const advance = (name: string, result?: Values, error?: Error) => {
      const actor = running.get(name)
      if (actor === undefined) return
      try {
        const next = error === undefined ? actor.play.next(result) : actor.play.throw(error)
        if (next.done) running.delete(name)
        else Object.assign(actor, { calls: this.#single(next.value), read: [] })
      } catch (failure) {
        if (!(failure instanceof Outage)) throw failure
        running.delete(name)
      }
    }
    for (const { name, play, faulty = false } of actors) {
      running.set(name, { play: play(this), calls: [BEGINS], read: [], faulty })
    }
    for (;;) {
      check()
      const steps: (Step & { run: () => void })[] = []
      for (const [name, actor] of running) {
        const [call, ...more] = actor.calls
        if (call === undefined) continue
        const label = labelOf(call)
        // No call takes days.
        const isElapse = 'does' in call && call.does.startsWith('after')
        const isAlone = [...running].every(([other, { calls }]) => other === name || calls[0] === BEGINS)
        if (isElapse && !isAlone) continue
        const done = () => {
          actor.calls = more
          if (more.length === 0) advance(name, actor.read)
        }
        const fail = () => {
          faults++
          advance(name, undefined, new Outage())
        }
        const run = () => {
          actor.read = [...actor.read, ...(this.#carryOut(call) ?? [])]
          done()
        }
        steps.push({ actor: name, label, run })
        if (!actor.faulty || faults > 0 || !('writes' in call)) continue
        steps.push({ actor: name, label: `${label}; lost`, run: fail })
        const delay = () => {
          late.set(`${name}, late`, () => void this.#carryOut(call))
          fail()
        }
        steps.push({ actor: name, label: `${label}; late`, run: delay })
        const unconfirmed = () => {
          this.#carryOut(call)
          fail()
        }
        steps.push({ actor: name, label: `${label}; unconfirmed`, run: unconfirmed })
      }
      for (const [name, write] of late) {
        const run = () => {
          late.delete(name)
          write()
        }
        steps.push({ actor: name, label: 'arrives', run })
      }
      if (steps.length === 0) return true
      steps.sort((one, other) => one.actor.localeCompare(other.actor))
      const step = steps[choose(steps) ?? -1]
      if (step === undefined) return false
      trace.push(`${step.actor} ${step.label}`)
      step.run()
    }
  }

  /** Over an adapter that is not proven, and in a batch that a cluster splits, each key is a call. */
  #single(call: Call): Call[] {
    if (this.#isProven || 'does' in call) return [call]
    if ('reads' in call) return call.reads.map((key) => ({ reads: [key] }))
    return call.writes.map((write) => ({ writes: [write] }))
  }

  // What a reader makes of the store as it is.

  partition(account: string): Partition | undefined {
    return valid(this.get(`p ${account}`), this.get(`g ${account}`))
  }

  isLive(session: Session): boolean {
    const partition = this.partition(session.account)
    if (partition?.generation !== session.generation) return false
    return isSessionLive(this, session, this.get(epochKey(session.account, session.sid)), partition)
  }

  /** The refresh token that a load shows. */
  token(account: string): string | undefined {
    const token = this.partition(account)?.token
    return token === this.get(`r ${account}`) ? undefined : token
  }
}

function labelOf(call: Call): string {
  if ('does' in call) return call.does
  return 'reads' in call
    ? `reads ${call.reads.join(', ')}`
    : `writes ${call.writes.map(([key]) => key).join(', ')}`
}

const epochKey = (account: string, sid: string) => `e ${account} ${sid}`
const linkKeys = (account: string, sid: string) => [`l ${sid}`, `l sub of ${account}`]

function valid(partition: unknown, generation: unknown): Partition | undefined {
  const found = partition as Partition | undefined
  return found !== undefined && (generation === undefined || generation === found.generation)
    ? found
    : undefined
}

function isSessionLive(
  { variant, now }: World,
  session: Session,
  epoch: unknown,
  { rows }: Partition,
): boolean {
  if (epoch !== undefined) return epoch === session.epoch
  if (variant.noRecordIsLife) return true
  const row = rows.find(({ sid }) => sid === session.sid)
  const isYoung = session.since > now - TTL
  if (variant.rowBeforeSince && row !== undefined) return row.epoch === session.epoch
  return isYoung || row?.epoch === session.epoch
}

const isRowLive = (row: Row, epoch: unknown) =>
  row.sid === undefined || epoch === undefined || epoch === row.epoch

/** What the store held for an account. */
class Seen {
  readonly values: Map<string, unknown>
  readonly at: number

  constructor(keys: readonly string[], values: Values, at: number) {
    this.values = new Map(keys.map((key, index) => [key, values[index]]))
    this.at = at
  }

  partition(account: string): Partition | undefined {
    return valid(this.values.get(`p ${account}`), this.values.get(`g ${account}`))
  }

  generation(account: string): string | undefined {
    return this.values.get(`g ${account}`) as string | undefined
  }
}

function* read(world: World, keys: readonly string[]): Play<Seen> {
  const at = world.now
  const values = yield { reads: keys }
  return new Seen(keys, values ?? [], at)
}

const accountKeys = (account: string) => [`p ${account}`, `g ${account}`, `r ${account}`]

/** Step 4: verifies all rows, adds its own session's, and writes all link rows anew. */
function* commit(
  world: World,
  account: string,
  seen: Seen,
  next: { generation: string; token: string; own: { sid: string; epoch: string | undefined } | undefined },
): Play<void> {
  const { generation, token, own } = next
  const before = seen.partition(account)?.rows ?? []
  const mine: Row[] =
    own === undefined
      ? []
      : linkKeys(account, own.sid).map((key) =>
          key === `l ${own.sid}` ? { key, ...own } : { key, sid: undefined, epoch: undefined },
        )
  const rows = [...before.filter(({ key }) => !mine.some((each) => each.key === key)), ...mine]
  const epochs = rows.flatMap(({ sid }) => (sid === undefined ? [] : [epochKey(account, sid)]))
  const wanted = world.variant.rowsUnverified ? [] : epochs
  const links = world.variant.ownLinksOnly ? mine.map(({ key }) => key) : rows.map(({ key }) => key)
  const missing = [...wanted, ...links].filter((key) => !seen.values.has(key))
  const more = missing.length === 0 ? undefined : yield* read(world, missing)
  const found = (key: string) => (seen.values.has(key) ? seen.values.get(key) : more?.values.get(key))
  const kept = rows.filter(
    (row) => mine.includes(row) || isRowLive(row, found(epochKey(account, row.sid ?? ''))),
  )
  const expires = seen.at + TTL
  const partition: Partition = { generation, token, rows: kept }
  yield {
    writes: [
      [`p ${account}`, { value: partition, expires }],
      ...links
        .filter((key) => kept.some((row) => row.key === key))
        .map((key) => [key, { value: linked(found(key), { account, generation }), expires }] as const),
    ],
  }
}

function linked(record: unknown, own: LinkRow): LinkRow[] {
  const others = ((record as LinkRow[] | undefined) ?? []).filter(({ account }) => account !== own.account)
  return [...others, own]
}

// The operations.

export function* signIn(world: World, account: string, sid: string): Play<Session> {
  const chain = world.newId('chain')
  const seen = yield* read(world, [
    ...accountKeys(account),
    epochKey(account, sid),
    ...linkKeys(account, sid),
  ])
  const partition = seen.partition(account)
  const generation = seen.generation(account) ?? partition?.generation ?? world.newId('g')
  const epoch = epochFor(world, partition, sid, seen.values.get(epochKey(account, sid)))
  world.good.set(chain, `${chain} 0`)
  yield* commit(world, account, seen, { generation, token: `${chain} 0`, own: { sid, epoch } })
  if (world.variant.signInWritesEpoch && seen.values.get(epochKey(account, sid)) !== undefined) {
    yield { writes: [[epochKey(account, sid), { value: epoch, expires: world.now + END_LIFETIME }]] }
  }
  world.storedGood.add(`${chain} 0`)
  const session = { account, sid, generation, epoch, since: seen.at, chain }
  world.sessions.push(session)
  return session
}

function epochFor(
  world: World,
  partition: Partition | undefined,
  sid: string,
  epoch: unknown,
): string | undefined {
  const row = partition?.rows.find((each) => each.sid === sid)
  if (epoch !== undefined) return epoch as string
  return row?.epoch ?? (world.variant.constantFirstEpoch ? 'first' : world.newId('e'))
}

/** A host's own client: what it acquired is stored, and then the host's session is opened. */
export function* signInAndOpen(world: World, account: string, sid: string): Play<void> {
  const stored = yield* signIn(world, account, sid)
  const seen = yield* read(world, [...accountKeys(account), epochKey(account, sid)])
  const partition = seen.partition(account)
  const row = partition?.rows.find((each) => each.sid === sid)
  const epoch = seen.values.get(epochKey(account, sid)) as string | undefined
  if (partition === undefined) return
  const { generation } = partition
  const { chain } = stored
  const session = (its: string | undefined, since: number) => ({
    account,
    sid,
    generation,
    epoch: its,
    since,
    chain,
  })
  // Ends that began after it was stored concern it.
  const begin = (opened: Session) => {
    world.sessions.push(opened)
    for (const { before } of world.ended) if (before.includes(stored)) before.push(opened)
  }
  if (world.variant.epochFromLaterRead) return begin(session(epoch ?? row?.epoch, seen.at))
  if (row !== undefined) return begin(session(row.epoch, stored.since))
  if (epoch === undefined) return begin(session(world.newId('e'), seen.at))
  // Its row is lost, and an end may have come since: it is over.
}

export function* refresh(world: World, session: Session | { account: string; sid?: undefined }): Play<void> {
  const { account, sid } = session
  const own = sid === undefined ? [] : [epochKey(account, sid)]
  const first = yield* read(world, [...accountKeys(account), ...own])
  const shown = first.partition(account)
  if (shown === undefined || !isShown(world, session, first)) return
  yield { does: 'is answered', effect: () => {} }
  const rowKeys = shown.rows.flatMap((row) => [
    row.key,
    ...(row.sid === undefined ? [] : [epochKey(account, row.sid)]),
  ])
  const seen = yield* read(world, [...new Set([...accountKeys(account), ...own, ...rowKeys])])
  const found = seen.partition(account)
  // A refresh of a chain that began with another sign-in of this generation is this generation's.
  if (found !== undefined && found.generation !== shown.generation) return
  const generation = seen.generation(account) ?? shown.generation
  if (generation !== shown.generation) return
  if (found === undefined || !isShown(world, session, seen)) return
  const epoch = sid === undefined ? undefined : session.epoch
  yield* commit(world, account, seen, {
    generation,
    token: `${shown.token.split(' ')[0]} ${world.newId('')}`,
    own: sid === undefined ? undefined : { sid, epoch },
  })
}

function isShown(world: World, session: Session | { account: string; sid?: undefined }, seen: Seen): boolean {
  const partition = seen.partition(session.account)
  if (partition === undefined) return false
  if (session.sid === undefined) return true
  const epoch = seen.values.get(epochKey(session.account, session.sid))
  return partition.generation === session.generation && isSessionLive(world, session, epoch, partition)
}

export function* evict(world: World, account: string): Play<void> {
  const before = world.sessions.filter((session) => session.account === account)
  yield* fence(world, account)
  world.ended.push({ account, before: [...before] })
}

function* fence(world: World, account: string): Play<void> {
  yield* confirm(world, `g ${account}`, 'g')
  yield { reads: [`p ${account}`, `i ${account}`] }
  yield {
    writes: [
      [`p ${account}`, undefined],
      [`i ${account}`, undefined],
    ],
  }
}

/** Writes a new id; reads it back, and writes another if it is not there. */
function* confirm(world: World, key: string, kind: string): Play<void> {
  let id = world.newId(kind)
  for (let attempts = 3; attempts > 0; attempts--) {
    try {
      yield { writes: [[key, { value: id, expires: world.now + END_LIFETIME }]] }
      const [found] = (yield { reads: [key] }) ?? []
      if (found === id) return
    } catch (error) {
      if (attempts === 1) throw error
    }
    if (!world.variant.sameIdTwice) id = world.newId(kind)
  }
  throw new Outage()
}

export function* end(world: World, account: string, sid: string): Play<void> {
  const before = world.sessions.filter((session) => session.account === account && session.sid === sid)
  const look = function* (): Play<boolean> {
    const seen = yield* read(world, accountKeys(account))
    const rows = (seen.partition(account)?.rows ?? []).filter((row) => row.sid !== undefined)
    const epochs = yield* read(
      world,
      rows.map((row) => epochKey(account, row.sid ?? '')),
    )
    const isOther = (row: Row) => !world.variant.endLooksFirst || row.sid !== sid
    return rows.some(
      (row) => isOther(row) && isRowLive(row, epochs.values.get(epochKey(account, row.sid ?? ''))),
    )
  }
  const looked = world.variant.endLooksFirst ? yield* look() : undefined
  yield* confirm(world, epochKey(account, sid), 'e')
  if (!(looked ?? (yield* look()))) yield* fence(world, account)
  world.ended.push({ account, sid, before: [...before] })
}

/** A callback by `sid`, which evicts every account that it leads to. */
export function* callback(world: World, sid: string, ends: 'account' | 'session' = 'account'): Play<void> {
  const before = world.sessions.filter((session) => session.sid === sid)
  const found = yield* findAccounts(world, `l ${sid}`)
  for (const account of found) yield* ends === 'account' ? evict(world, account) : end(world, account, sid)
  for (const session of before) {
    if (!found.includes(session.account) && !world.displaced.has(session.account) && world.isLive(session)) {
      world.complaints.push(`P14: the callback of ${sid} misses ${session.account}`)
    }
  }
}

export function* findAccounts(world: World, key: string): Play<string[]> {
  const links = yield* read(world, [key])
  const rows = (links.values.get(key) as LinkRow[] | undefined) ?? []
  if (rows.length === 0) return []
  const seen = yield* read(
    world,
    rows.flatMap(({ account }) => [...accountKeys(account), `i ${account}`]),
  )
  return rows.filter((row) => isCurrent(world, row, key, seen)).map(({ account }) => account)
}

function isCurrent({ variant }: World, { account, generation }: LinkRow, key: string, seen: Seen): boolean {
  const partition = seen.partition(account)
  const current = seen.generation(account)
  const isOfNow =
    current === undefined ? (partition?.generation ?? generation) === generation : current === generation
  const isNamed = partition?.rows.some((row) => row.key === key) === true
  if (variant.linksByPartition && partition !== undefined) return isNamed
  if (variant.linksByGeneration) return isOfNow
  const listed = (seen.values.get(`i ${account}`) as string[] | undefined) ?? []
  return isOfNow || isNamed || (!variant.listNamesNoLinks && listed.includes(key))
}

/** Work that goes on after an incoming token has expired (N2): a record of its own, and the same links. */
export function* longRunning(world: World, account: string, sid: string, work: string): Play<void> {
  const record = `t ${account} ${work}`
  const seen = yield* read(world, [`g ${account}`, record])
  const begun = seen.values.get(record) as { generation: string } | undefined
  const generation = seen.generation(account) ?? begun?.generation ?? world.newId('g')
  const keys = linkKeys(account, sid)
  const more = yield* read(world, [`i ${account}`, ...keys])
  const expires = seen.at + TTL
  const listed = [...new Set([...((more.values.get(`i ${account}`) as string[] | undefined) ?? []), ...keys])]
  yield {
    writes: [
      [record, { value: { generation }, expires }],
      [`i ${account}`, { value: listed, expires }],
      ...keys.map(
        (key) => [key, { value: linked(more.values.get(key), { account, generation }), expires }] as const,
      ),
    ],
  }
}

/** One import for every process that tries: its generation is the same. */
export function* importAccount(world: World, account: string, sid: string): Play<void> {
  const seen = yield* read(world, [
    ...accountKeys(account),
    epochKey(account, sid),
    ...linkKeys(account, sid),
  ])
  const isKnown =
    seen.generation(account) !== undefined || seen.values.get(epochKey(account, sid)) !== undefined
  if (isKnown || seen.partition(account) !== undefined) return
  const own = { sid, epoch: world.newId('e') }
  yield* commit(world, account, seen, { generation: `imported ${account}`, token: 'imported 0', own })
}

/** Refreshes with a token that works once, as `ConfidentialClients` does. */
export function* useOnce(world: World, session: Session): Play<void> {
  const { account } = session
  let refused: string | undefined
  let looks = 0
  for (;;) {
    const goodAtLook = [...world.storedGood].filter(
      (token) => world.good.get(token.split(' ')[0] ?? '') === token,
    )
    const seen = yield* read(world, [...accountKeys(account), epochKey(account, session.sid)])
    const partition = seen.partition(account)
    if (partition === undefined || partition.generation !== session.generation) return
    const { token } = partition
    if (token === seen.values.get(`r ${account}`)) return
    if (token === refused) {
      if (++looks < 3) continue
      const isGood = goodAtLook.some((each) => each.split(' ')[0] === token.split(' ')[0])
      if (isGood)
        world.complaints.push('P17: refused, though a good token was stored when the last look began')
      if (world.variant.refusalRewrites) {
        const found = yield* read(world, accountKeys(account))
        const now = found.partition(account)
        if (now === undefined) return
        yield { writes: [[`p ${account}`, { value: { ...now, token: '' }, expires: found.at + TTL }]] }
      } else {
        yield { writes: [[`r ${account}`, { value: token, expires: world.now + TTL }]] }
      }
      return
    }
    const [chain = ''] = token.split(' ')
    let fresh: string | undefined
    yield {
      does: 'asks',
      effect: () => {
        if (world.good.get(chain) !== token) return
        fresh = `${chain} ${world.newId('')}`
        world.good.set(chain, fresh)
      },
    }
    if (fresh === undefined) {
      if (world.variant.noSecondLook) {
        const isGood = [...world.storedGood].some((each) => world.good.get(chain) === each)
        if (isGood) world.complaints.push('P17: refused, though a good token was stored')
        return
      }
      refused = token
      looks = 0
      continue
    }
    const again = yield* read(world, [
      ...accountKeys(account),
      ...partition.rows.flatMap((row) => [
        row.key,
        ...(row.sid === undefined ? [] : [epochKey(account, row.sid)]),
      ]),
    ])
    if (again.partition(account)?.generation !== session.generation) return
    yield* commit(world, account, again, {
      generation: session.generation,
      token: fresh,
      own: { sid: session.sid, epoch: session.epoch },
    })
    world.storedGood.add(fresh)
    return
  }
}
