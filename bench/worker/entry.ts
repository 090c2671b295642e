import type { EntraStandIn, User } from '../../test/support/entra.ts'
import type { Operation } from '../contenders.ts'
import type { Contender } from './contenders/contender.ts'
import { type Call, time } from './turn.ts'

/** The most calls of one turn; fewer where each costs a sign-in beforehand that is not timed. */
const MOST_CALLS = 4_000
const MOST_PREPARED_CALLS = 50

/** Whether the account is signed in before and after each operation. */
const SIGNED_IN: Readonly<Record<Operation, { readonly before: boolean; readonly after: boolean }>> = {
  hit: { before: true, after: true },
  refresh: { before: true, after: true },
  'sign-in': { before: false, after: true },
  eviction: { before: true, after: false },
  'front-channel': { before: true, after: false },
  'back-channel': { before: true, after: false },
}

/** A contender and the accounts that it serves in turn. */
export class Entry {
  readonly #contender: Contender
  readonly #users: readonly User[]
  readonly #signedIn = new Set<User>()
  #next = 0
  /** What a call takes, as far as is known: before the first one, as long as a turn. */
  #milliseconds = Number.POSITIVE_INFINITY

  constructor(contender: Contender, users: readonly User[]) {
    this.#contender = contender
    this.#users = users
  }

  /** Signs them in, or stores them in the contender's own way. */
  async populate(accounts: number): Promise<void> {
    if (this.#contender.populate !== undefined) await this.#contender.populate(this.#users, accounts)
    else await time(await this.#arrangeAll('sign-in'), 10)
    this.assumePopulated()
  }

  /** Another process has signed them in. */
  assumePopulated(): void {
    for (const user of this.#users) this.#signedIn.add(user)
  }

  /** Calls of that operation, for accounts in turn; what has to precede them is done. */
  async arrange(operation: Operation, count: number): Promise<Call[]> {
    const { before, after } = SIGNED_IN[operation]
    const arranging = this.#contender[operation]
    if (arranging === undefined) throw new Error(`there is no ${operation} here`)
    const calls: Call[] = []
    while (calls.length < count) {
      const user = this.#users[this.#next++ % this.#users.length]
      if (user === undefined) throw new Error('there is nobody to serve')
      if (this.#signedIn.has(user) !== before) await this.#bring(user, before)
      calls.push(await arranging(user))
      if (after) this.#signedIn.add(user)
      else this.#signedIn.delete(user)
    }
    return calls
  }

  /** As many calls as take about so long, but none twice that can be made once. */
  async turn(operation: Operation, milliseconds: number, concurrency: number) {
    const { before, after } = SIGNED_IN[operation]
    const most = before === after ? MOST_CALLS : Math.min(MOST_PREPARED_CALLS, this.#users.length)
    const wanted = Math.ceil(milliseconds / this.#milliseconds)
    const calls = await this.arrange(operation, Math.min(most, Math.max(concurrency, wanted)))
    // What the others, and arranging, have left behind is not to be collected in this one's time.
    globalThis.gc?.({ type: 'minor' })
    const turn = await time(calls, concurrency)
    this.#milliseconds = turn.elapsed / calls.length
    // As many are stored in the next turn as were in this one.
    if (before && !after) await this.signInAll()
    return turn
  }

  async signInAll(): Promise<void> {
    for (const user of this.#users) if (!this.#signedIn.has(user)) await this.#bring(user, true)
  }

  async signOutAll(): Promise<void> {
    for (const user of this.#users) if (this.#signedIn.has(user)) await this.#bring(user, false)
  }

  async #bring(user: User, signedIn: boolean): Promise<void> {
    const call = await this.#contender[signedIn ? 'sign-in' : 'eviction'](user)
    await call()
    if (signedIn) this.#signedIn.add(user)
    else this.#signedIn.delete(user)
  }

  async #arrangeAll(operation: 'sign-in'): Promise<Call[]> {
    return Promise.all(this.#users.map((user) => this.#contender[operation](user)))
  }
}

/** The first users of every stand-in are the same people, in every process. */
export function makeUsers(entra: EntraStandIn, count: number): User[] {
  return Array.from({ length: count }, () => entra.user())
}
