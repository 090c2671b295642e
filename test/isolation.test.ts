import type { ConfidentialClientApplication } from '@azure/msal-node'
import fc from 'fast-check'
import Keyv from 'keyv'
import { expect, test } from 'vitest'
import * as library from '../src/index.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn, SCOPES, type User } from './support/entra.ts'
import { length } from './support/length.ts'
import { mutant } from './support/mutant.ts'
import { drawSeed } from './support/seed.ts'
import { keysOf } from './support/stored.ts'

const USERS = 50
const OPERATIONS = length({ short: 1_500, long: 10_000 })
const AT_ONCE = 25

const KINDS = [
  'sign-in',
  'sign-in on the client of another',
  'silent',
  'refresh',
  'accounts',
  'remove',
  'evict',
  'singleton',
] as const

interface Operation {
  readonly kind: (typeof KINDS)[number]
  readonly user: number
  /** Microtasks after which it begins. */
  readonly offset: number
}

const OPERATION: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constantFrom(...KINDS, 'sign-in', 'refresh'),
  user: fc.nat({ max: USERS - 1 }),
  offset: fc.nat({ max: 60 }),
})

/** A Map that looks at every record as it is written. */
class GuardedMap extends Map<string, string> {
  readonly foreign: string[] = []
  writes = 0
  readonly #entra: EntraStandIn
  readonly #owners: Map<string, string>

  constructor(entra: EntraStandIn, owners: Map<string, string>) {
    super()
    this.#entra = entra
    this.#owners = owners
  }

  override set(key: string, value: string): this {
    const record = (JSON.parse(value) as { value: string }).value
    const owner = this.#owners.get(key.replace('keyv:', ''))
    const body = record.slice(record.indexOf('\n') + 1)
    if (owner !== undefined && body !== '') this.#check(owner, body)
    return super.set(key, value)
  }

  #check(owner: string, body: string): void {
    this.writes++
    const { AppMetadata, ...sections } = JSON.parse(body) as Record<string, Record<string, Entity>>
    for (const entity of Object.values(sections).flatMap((section) => Object.values(section))) {
      const issuedTo = entity.secret === undefined ? owner : this.#entra.ownerOf(entity.secret)?.homeAccountId
      if (entity.home_account_id !== owner || issuedTo !== owner) this.foreign.push(owner)
    }
  }
}

interface Entity {
  home_account_id: string
  secret?: string
}

/**
 * Random operations of 50 users: all sign in on one client, and each has a client that lives on until the next sign-in,
 * beside the clients that everybody shares.
 * @returns the foreign entities ever written, and the writes
 */
async function play(
  { KeyvCachePlugin, ConfidentialClients }: typeof library,
  operations: number,
  seed: number,
) {
  const entra = new EntraStandIn({ size: 'small' })
  const users = Array.from({ length: USERS }, () => entra.user())
  const map = new GuardedMap(
    entra,
    new Map(users.map(({ homeAccountId }) => [keysOf(homeAccountId).partition, homeAccountId])),
  )
  const plugin = new KeyvCachePlugin({ store: new Keyv({ store: map }), clientId: CLIENT_ID })
  const msal = new ConfidentialClients(entra.configuration(), { plugin })
  const shared = entra.client(plugin)
  const bound = users.map((user) => entra.client(plugin.forAccount(user)))

  const perform = async ({ kind, user: index, offset }: Operation) => {
    const user = users[index] as User
    const client = bound[index] as ConfidentialClientApplication
    const id = user.homeAccountId
    for (let i = 0; i < offset; i++) await undefined
    switch (kind) {
      case 'sign-in':
        await entra.signIn(shared, user)
        bound[index] = entra.client(plugin.forAccount(user))
        return
      case 'sign-in on the client of another':
        return entra.signIn(bound[(index + 1) % USERS] as ConfidentialClientApplication, user)
      case 'silent':
        return acquireSilently(client, id)
      case 'refresh':
        return acquireSilently(client, id, { forceRefresh: true })
      case 'accounts':
        return client.getTokenCache().getAllAccounts()
      case 'remove': {
        const account = await client.getTokenCache().getAccountByHomeId(id)
        if (account) await client.getTokenCache().removeAccount(account)
        return
      }
      case 'evict':
        return plugin.evictAccount(id)
      case 'singleton':
        return msal.acquireTokenSilent(user, { scopes: SCOPES, forceRefresh: true })
    }
  }
  const drawn = fc.sample(OPERATION, { numRuns: operations, seed })
  let done = 0
  for (let start = 0; start < drawn.length; start += AT_ONCE) {
    const outcomes = await Promise.allSettled(drawn.slice(start, start + AT_ONCE).map(perform))
    done += outcomes.filter(({ status }) => status === 'fulfilled').length
  }
  const left = entra.tokensIn(shared.getTokenCache().serialize())
  return { foreign: map.foreign, writes: map.writes, done, left }
}

test(`${OPERATIONS} random operations of 50 users: no foreign entity in any record, ever (P1)`, async () => {
  const { foreign, writes, done, left } = await play(library, OPERATIONS, drawSeed())
  expect(foreign).toEqual([])
  expect(writes).toBeGreaterThan(OPERATIONS / 10)
  expect(done).toBeGreaterThan(OPERATIONS / 2)
  expect(left).toEqual([])
})

test('without a split by owner it is found out', async () => {
  const broken = await mutant('not split by owner')
  expect((await play(broken, 150, drawSeed())).foreign.length).toBeGreaterThan(0)
})
